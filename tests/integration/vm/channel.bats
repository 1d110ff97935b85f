#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The patched QEMU alone, against an engine's side of the channel written from the document.
@test "channel: save, load, give-up and refusals of the patched QEMU" {
  [ -n "${TLC_QEMU:-}" ] || { echo "TLC_QEMU is not set; run the tests with tests/run" >&2; return 1; }
  /usr/bin/python3 "$BATS_TEST_DIRNAME/../../support/channel_proof.py" "$TLC_QEMU" tcg
}
