#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A site may forbid that jobs get devices which their users may not open.
load helper
setup_file() { cluster_up devices=none; }
teardown_file() { cluster_down; }

@test "devices=none opens none" {
  submit --vm-checkpoint=10m job.sh
  [ "$state" = "JobState=COMPLETED ExitCode=0:0" ]
  grep -qx 'userfaultfd: ' "$TEST_DIR/work/out"
}
