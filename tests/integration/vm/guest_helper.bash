# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2034
# A guest without tlc-run, for one test. Needs TLC_QEMU, TLC_KERNEL, TLC_INITRAMFS, TLC_IMAGE and TLC_BUILD (see
# tests/support/boot_guest).

setup() {
    local name
    for name in TLC_QEMU TLC_KERNEL TLC_INITRAMFS TLC_IMAGE TLC_BUILD; do
        [ -n "${!name:-}" ] || skip "$name is not set"
    done
    PATH=$PATH:/usr/sbin:/sbin
    boot=$BATS_TEST_DIRNAME/../../support/boot_guest
    helper=$TLC_BUILD/tests/stage_helper
    vm=$BATS_TEST_TMPDIR/vm
    mkdir -p "$vm/files"
    job '.'
}

# The standard job, changed by a jq filter.
job() {
    jq -n '{version: 1, argv: ["/job/script"], environment: ["PATH=/usr/bin:/bin"], cwd: "/home/u/dir",
            uid: 1000, gid: 1000, groups: [1000], user: "u", group: "ug", home: "/home/u", hostname: "n1",
            merge_output: false, tmp_on_work: false} | '"$1" >"$vm/job.json"
}

script() {
    { echo '#!/bin/bash'; cat; } >"$vm/script"
}

start_guest() {
    "$boot" "$vm" "$@" >"$vm/qemu.log" 2>&1 3>&- &
    guest=$!
}

wait_for_event() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        grep -q "\"event\":\"$1\"" "$vm/control" 2>/dev/null && return 0
        kill -0 "$guest" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# command TEXT...: each as a line on the command port, kept open a moment
command_port() { printf '%s\n' "$@" | socat -t1 - "UNIX-CONNECT:$vm/command.sock"; }

last_event() { tail -n1 "$vm/control"; }

teardown() {
    if [ -n "${guest:-}" ] && kill -0 "$guest" 2>/dev/null; then kill "$guest"; fi
    [ -e "${vm:-}/control" ] && { echo "control:"; cat "$vm/control"; echo "console:"; cat "$vm/console"; tail -n5 "$vm/stdout" "$vm/stderr"; } || true
}
