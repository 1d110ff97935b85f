#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The plugin lives inside Slurm's processes: it must bring in nothing and offer nothing but its hooks.
# Needs TLC_BUILD, the CMake build directory.

setup() { plugin=${TLC_BUILD:?set TLC_BUILD to the CMake build directory}/lib/spank_tlc.so; }

@test "only the plugin's symbols and hooks are exported" {
  run nm -D --defined-only "$plugin"
  [ "$status" = 0 ]
  local extra
  extra=$(awk '{print $NF}' <<<"$output" | sed 's/@.*//' |
    grep -vxE 'plugin_(name|type|version)|spank_plugin_version|slurm_spank_init|slurm_spank_init_failure_mode|slurm_spank_init_post_opt|slurm_spank_task_init(_privileged)?' || true)
  echo "not expected: $extra"
  [ -z "$extra" ]
  [ "$(grep -c slurm_spank_ <<<"$output")" -ge 4 ]
}

@test "no library but the C and C++ run time" {
  run bash -c 'objdump -p "$1" | awk "/NEEDED/ {print \$2}"' - "$plugin"
  echo "$output"
  [ "$status" = 0 ]
  [ -z "$(grep -vE '^(libc|libm|libstdc\+\+|libgcc_s|ld-linux[a-z0-9_-]*)\.so' <<<"$output")" ]
}
