# SPDX-License-Identifier: GPL-2.0-or-later
"""What publish_sequence does with one level and with two, as far as the cases must know it."""

import dataclasses


@dataclasses.dataclass
class Sequence:
    two_levels: bool
    first: tuple  # checkpoints published and carried in the first life
    resumed: tuple  # at least, in a resumed one
    randoms: int  # random trees after each call
    fsyncs: dict  # by the path below the directory; the loss of any must be seen
    damage: dict  # what is done, and to the last file of that pattern
    chains: bool = False  # the disk is chains of images
    reach: int = 80  # calls after an fsync that failed at which the power may go


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shorten(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)


def damage_of(level):
    newest = f"{level}/cluster-4711/0*/"
    return {
        "a bit of the image": (newest + "memory.h5", flip),
        "the end of the image": (newest + "memory.h5", shorten),
        "a bit of the manifest": (newest + "manifest.json", flip),
        "the whole checkpoint": (newest + "manifest.json", lambda path: path.unlink()),
    }


def damage_of_frozen(level):
    newest = f"{level}/cluster-4711/0*/"
    return {
        "the disk": (newest + "disk/root", flip),
        "a checksum of the disk": (newest + "disk.sums", flip),
    }


FSYNCS = {
    "of an image": "*/memory.h5.partial",
    "of a disk file": "*/disk/*",
    "of a disk part": "*/0*/disk",
    "of the disk's checksums": "*/disk.sums.*",
    "of a checkpoint's directory": "*/0?????",
    "of a manifest": "*/manifest.json.*",
    "of the job's directory": "*/cluster-4711",
    "of the epochs": "*/epochs",
    "of the root": "new/root",
    "of the root's parent": "new",
}

PUBLISH = Sequence(
    two_levels=False,
    first=(5, 0),
    resumed=(2, 0),
    randoms=6,
    fsyncs=FSYNCS,
    damage=damage_of("new/root") | damage_of_frozen("new/root"),
)

# A chain of three overlays is merged after its checkpoint.
CHAINS = dataclasses.replace(
    PUBLISH,
    damage={"a frozen image": ("new/root/cluster-4711/0*/disk/root-*.qcow2", flip),
            "the end of a frozen image": ("new/root/cluster-4711/0*/disk/root-*.qcow2", shorten),
            "an image below": ("new/root/cluster-4711/0*/disk/work.img", lambda path: path.unlink())},
    chains=True,
    reach=100000,  # what one checkpoint has lost may be found missing in any later one
)

CARRY = Sequence(
    two_levels=True,
    first=(4, 3),
    resumed=(1, 1),
    randoms=2,
    fsyncs={
        "of a carried image": "new/root/*/memory.h5",
        "of a carried older file": "new/root/*/older-*",
        "of a pack": "new/root/*/disk-*.pack",
        "of a packed disk's index": "new/root/*/disk.index.*",
        "of a carried checkpoint's directory": "new/root/*/0?????",
        "of a carried manifest": "new/root/*/manifest.json.*",
        "of the job's directory": "new/root/cluster-4711",
        "of the node's directory": "node/cluster-4711",
        "of a checkpoint's directory on the node": "node/*/0?????",
    },
    damage={f"{name} on the node": what
            for name, what in (damage_of("node") | damage_of_frozen("node")).items()}
    | damage_of("new/root") | {
        "a pack": ("new/root/cluster-4711/0*/disk-*.pack", flip),
        "a packed disk's index": ("new/root/cluster-4711/0*/disk.index", flip),
    },
)
