#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests whose system is in images that are not of our making.

load guest_helper

# own_image FILE-SYSTEM: a qcow2 image with a GPT of two partitions, of which the second and larger one holds the
# content of TLC_IMAGE in a file system of this kind. Prints its path. (A loop device shows no partitions here.)
own_image() {
    local raw=$BATS_TEST_TMPDIR/own.raw part=$BATS_TEST_TMPDIR/part from=$BATS_TEST_TMPDIR/from to=$BATS_TEST_TMPDIR/to system
    truncate -s 1100M "$raw"
    printf 'label: gpt\nsize=16MiB, type=U\nsize=1GiB, type=L\n' | sfdisk -q "$raw"
    # The first has a file system too, without a system.
    mke2fs -q -F -t ext4 -E offset=1048576 "$raw" 16M
    truncate -s 1G "$part"
    "mkfs.$1" -q "$part" >/dev/null
    mkdir "$from" "$to"
    mount -o ro,loop "$TLC_IMAGE" "$from"
    mount -o loop "$part" "$to"
    # As some distributions have it: the default subvolume holds no system, the one named root does.
    system=$to
    [ "$1" != btrfs ] || { system=$to/root; btrfs -q subvolume create "$system"; }
    cp -a "$from/." "$system"
    umount "$from" "$to"
    dd if="$part" of="$raw" bs=1M seek=17 conv=notrunc,sparse status=none
    qemu-img convert -q -O qcow2 "$raw" "$BATS_TEST_TMPDIR/own.qcow2"
    rm "$raw" "$part"
    echo "$BATS_TEST_TMPDIR/own.qcow2"
}

boots_from() { # boots_from FILE-SYSTEM
    [ "$(id -u)" = 0 ] || skip "needs root for loop mounts"
    script <<'JOB'
while read -r device at type _; do [ "$at" != / ] || echo "${device##*/vd?} $type"; done </proc/mounts
touch /var/tmp/x && echo writable
JOB
    TLC_IMAGE=$(own_image "$1") run "$boot" "$vm"
    [ "$(last_event)" = '{"event":"exit","code":0}' ]
    [ "$(cat "$vm/stdout")" = "2 $1"$'\n'writable ]
}

@test "a partitioned qcow2 image with XFS is booted" {
    boots_from xfs
}

@test "a partitioned qcow2 image with the system in a Btrfs subvolume is booted" {
    boots_from btrfs
}

@test "an image without a system is refused with what is in it" {
    printf 'label: dos\nsize=16MiB\nsize=8MiB\n' >"$BATS_TEST_TMPDIR/table"
    truncate -s 32M "$BATS_TEST_TMPDIR/empty.raw"
    sfdisk -q "$BATS_TEST_TMPDIR/empty.raw" <"$BATS_TEST_TMPDIR/table"
    mke2fs -q -F -t ext4 -E offset=1048576 "$BATS_TEST_TMPDIR/empty.raw" 16M
    script <<<'echo never'
    TLC_IMAGE=$BATS_TEST_TMPDIR/empty.raw run "$boot" "$vm"
    last_event | grep -F 'the image holds no system'
    last_event | grep -E '/dev/vd. unknown, /dev/vd.1 ext4, /dev/vd.2 unknown'
    [ ! -s "$vm/stdout" ]
}
