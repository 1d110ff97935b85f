#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# spank-plugin/docs/install.md, literally, in a fresh Debian: packages, image, configuration, a job that is continued
# from a checkpoint, and removal. The cases build on one another. Takes some minutes: tests/run --label packages
load helper

setup_file() {
  system_up
  # TLC_PACKAGES: a directory of packages that were made before.
  if [ -n "${TLC_PACKAGES:-}" ]; then
    cp "$TLC_PACKAGES"/*.deb "$system/srv/tlc/packages/"
    ls "$TLC_PACKAGES"/*.deb >"$TEST_DIR/built"
  else
    "$root/examples/packages/build" --out "$system/srv/tlc/packages" >"$TEST_DIR/built"
  fi
  cp "$root/tests/support/cluster" "$system/root/"
  cp -r "$system/srv/tlc/packages" "$TEST_DIR/"
}
teardown_file() { system_down; }

@test "1. four packages are made" {
  cat "$TEST_DIR/built"
  for name in tlc tlc-guest tlc-qemu tlc-slurm-plugin; do grep -q "/${name}_[0-9.]*_amd64.deb$" "$TEST_DIR/built"; done
  dpkg-deb -f "$system"/srv/tlc/packages/tlc-slurm-plugin_*.deb Depends | grep -E 'slurm-wlm-basic-plugins \(<< [0-9]+\.[0-9]+~\)'
}

@test "2. they install on a node" {
  run_block '2. Install' 1
  [ "$status" = 0 ]
  run_block '2. Install' 2
  [ "$status" = 0 ]
  [ "$(cat "$system/etc/slurm/plugstack.conf")" = 'include /etc/slurm/plugstack.conf.d/*.conf' ]
  in_system 'tlc-run --version && tlc-restart --version && tlc-engine --version && /usr/libexec/tlc/qemu-system-x86_64 --version'
}

@test "the built-in paths are the packages'" {
  run in_system 'tlc-run --check-config'
  echo "$output"
  [ "$status" = 1 ]
  [[ $output == *'qemu = "/usr/libexec/tlc/qemu-system-x86_64"'* ]]
  [[ $output == *'engine = "/usr/bin/tlc-engine"'* ]]
  [[ $output == *'paths.kernel: cannot find /usr/share/tlc/vmlinux'* ]]
}

@test "every command has its man page" {
  for name in tlc-run tlc-restart tlc-engine spank_tlc tlc.toml; do in_system "man --pager=cat $name" >/dev/null; done
}

@test "3. a guest image is made" {
  run_block '3. Make a guest image' 1
  [ "$status" = 0 ]
  [ "$(grep -cE '^(kernel|initramfs|guest_image) = "/srv/tlc/guest/[^"]*"$' "$system/srv/tlc/guest.lines")" = 3 ]
  in_system 'man --pager=cat tlc-guest-image' >/dev/null
}

@test "4. and 5. the configuration is whole" {
  run_block '4. Make a directory' 1
  [ "$status" = 0 ]
  run_block '5. Configure' 1
  [ "$status" = 0 ]
  [[ $output == *'checkpoint_dir = "/srv/tlc/checkpoints"'* ]]
}

@test "6. Slurm's settings are shown" {
  cluster_dir=$(mktemp -d /dev/shm/tlc-packages-XXXXXX)
  chmod 755 "$cluster_dir"
  echo "cluster_dir=$cluster_dir" >"$TEST_DIR/cluster"
  in_system "/root/cluster start --dir $cluster_dir --nodes 1 --plugstack /etc/slurm/plugstack.conf"
  run_block "6. Check Slurm's own settings" 1
  [ "$status" = 0 ]
  [[ $output == *JobRequeue* && $output == *KillWait* ]]
}

@test "7. sbatch has the options, and a job is continued from its checkpoint" {
  . "$TEST_DIR/cluster"
  run_block '7. Try it' 1
  [ "$status" = 0 ]
  [[ $output == *--vm-checkpoint=* && $output == *--vm-stage-out=* ]]

  in_system 'useradd --create-home --shell /bin/bash worker'
  run_block '7. Try it' 2 worker /home/worker
  [ "$status" = 0 ]
  job=${output##* }
  until_true 300 sh -c "[ \$(cat $system/srv/tlc/checkpoints/*-$job/tlc.log | grep -c ' info checkpoint=') -ge 2 ]"
  run in_system 'cd && tlc-restart list' worker
  echo "$output"
  [ "$status" = 0 ]
  [[ $output == *"-$job "*unfinished* ]]
  in_system "scontrol requeue $job"
  until_true 300 in_system "scontrol -o show job $job | grep -q JobState=COMPLETED"
  cat "$system"/srv/tlc/checkpoints/tlc*-"$job"/tlc.log
  grep -q ' restored ' "$system"/srv/tlc/checkpoints/tlc*-"$job"/tlc.log
  [ "$(cat "$system/home/worker/job.out")" = "$(seq 60)" ]
}

@test "without the plugin, its line left behind, sbatch works" {
  . "$TEST_DIR/cluster"
  in_system 'apt-get remove -y tlc-slurm-plugin'
  [ -e "$system/etc/slurm/plugstack.conf.d/tlc.conf" ]
  run in_system "cd && echo '#!/bin/sh' | sbatch --output=/dev/null" worker
  echo "$output"
  [ "$status" = 0 ]
  [[ $output == *'Submitted batch job'* ]]
  run in_system "cd && echo '#!/bin/sh' | sbatch --vm-checkpoint=1m" worker
  [ "$status" != 0 ]
  in_system "/root/cluster stop --dir $cluster_dir"
  rm -rf "$cluster_dir" "$TEST_DIR/cluster"
}

@test "removed, nothing is left" {
  in_system 'userdel --remove worker || true'
  run_block 'Remove' 1
  [ "$status" = 0 ]
  [ ! -e "$system/srv/tlc" ]
  # man keeps pages it has shown in its cache, and clears that itself.
  run find "$system" -xdev \( -path "$system/tmp" -o -path "$system/var/cache/man" \) -prune -o -name '*tlc*' -print
  echo "$output"
  [ -z "$output" ]

  # Some of what was installed for them is kept by apt, as others could use it. So once more, now that it is there:
  # what changes must be theirs.
  file_list >"$TEST_DIR/before"
  mkdir -p "$system/srv/tlc"
  cp -r "$TEST_DIR/packages" "$system/srv/tlc/"
  in_system 'apt-get install -y /srv/tlc/packages/*.deb'
  run_block 'Remove' 1
  [ "$status" = 0 ]
  file_list >"$TEST_DIR/after"
  diff "$TEST_DIR/before" "$TEST_DIR/after"
}
