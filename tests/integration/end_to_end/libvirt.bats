#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2164
# Jobs in VMs that are described by a libvirt domain XML (driver = "libvirt").
bats_require_minimum_version 1.5.0
load helper

setup_file() {
  storage_up
  [ -x "$bin/tlc-domain" ] || { echo "tlc-domain was not built: is libvirt-dev there?" >&2; return 1; }
  "$TLC_ROOT/tests/support/cluster" user tlcuser
}
teardown_file() { storage_down; }

setup() {
  counting_job_up
  cp "$TLC_ROOT/examples/domain.xml" .
  sed '/^\[vm\]/d' "$TLC_CONFIG" >site.toml
  printf '[vm]\ndriver = "libvirt"\ndomain_template = "%s"\n' "$PWD/domain.xml" >>site.toml
}

teardown() { local_job_down; }

# A field of /proc/PID/stat after the command's name: 4 parent, 5 group, 6 session.
stat_of() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f$(($2 - 2)); }

# survives COMMAND...: the job is computed, checkpointed, loses its QEMU and ends with the right result.
survives() {
  "$@" "$bin/tlc-run" --config "$PWD/site.toml" --checkpoint=5s --job-memory=900M -- ./job.sh 40 0.5 7 >out 2>err 3>&- &
  run_pid=$!
  until_true 90 has_taken 1
  local launcher qemu
  launcher=$(pgrep -f "^$bin/tlc-run --config $PWD/site.toml")
  qemu=$(qemu_of "$launcher")
  pgrep -f "qemu-system.*$(job_directory)/live-"
  tr '\0' ' ' <"/proc/$qemu/cmdline" | grep -q -- '-device {"driver":"i6300esb"'
  [ "$(stat_of "$qemu" 4)" = "$launcher" ]
  [ "$(stat_of "$qemu" 6)" = "$(stat_of "$launcher" 6)" ]
  cmp "/proc/$qemu/cgroup" "/proc/$launcher/cgroup"
  [ "$(stat -c %u "/proc/$qemu")" = "$(stat -c %u "/proc/$launcher")" ]
  # A changed template is for jobs to come.
  sed -i '/watchdog/d' domain.xml
  kill -9 "$qemu"
  local code=0
  wait "$run_pid" || code=$?
  run_pid=
  [ "$code" = 7 ]
  one_life out 40
  grep -q 'restored checkpoint=' "$(job_directory)/tlc.log"
  # The restored QEMU, which names the live disk, is gone with its launcher.
  run ! pgrep -f "qemu-system.*$(job_directory)/live-"
}

@test "QEMU killed: the job continues from its checkpoint, as root" {
  survives
}

@test "QEMU killed: the job continues from its checkpoint, as an ordinary user" {
  chown -R tlcuser "$TEST_DIR/job"
  survives setpriv --reuid tlcuser --regid tlcuser --clear-groups env HOME="$TEST_DIR/job"
}

@test "the guest sees what the template says" {
  cat >job.sh <<'END'
#!/bin/bash
grep -m 1 'model name' /proc/cpuinfo
cat /sys/bus/pci/devices/*/device
END
  run -0 "$bin/tlc-run" --config site.toml --checkpoint=1h --job-memory=900M -- ./job.sh
  [[ $output == *"Nehalem"*0x25ab* ]]
}

@test "what cannot be checkpointed, or has no effect, is refused with its line" {
  refused() { # refused TEXT ELEMENT: as the second line of a domain
    printf "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n%s\n</domain>\n" "$2" >domain.xml
    run -2 "$bin/tlc-run" --config site.toml --checkpoint=5m --job-memory=900M -- ./job.sh 1 0 0
    [[ $output == *"$1"* ]] || { echo "printed: $output"; return 1; }
  }
  refused 'domain.xml:2: <memoryBacking>' '<memoryBacking><hugepages/></memoryBacking>'
  refused 'domain.xml:2: <hostdev>' "<devices><hostdev mode='subsystem' type='pci'/></devices>"
  refused 'domain.xml:2: <filesystem>' "<devices><filesystem type='mount'/></devices>"
  refused 'domain.xml:2: <interface>' "<devices><interface type='bridge'/></devices>"
  refused 'domain.xml:2: <disk>' "<devices><disk type='file'/></devices>"
  refused 'domain.xml:2: <cputune>' '<cputune/>'
  refused '"vfio-pci"' "<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='vfio-pci'/></qemu:commandline>"
  refused 'this is not XML' '<devices>'
  refused 'libvirt cannot make a VM' "<devices><watchdog model='none-such'/></devices>"
}
