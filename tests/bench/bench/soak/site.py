# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster of three nodes, a checkpoint directory on a file system of its own, and an ordinary user with a job directory."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

SUPPORT = pathlib.Path(__file__).resolve().parents[3] / "support"
USER = "tlcuser"


class SiteError(Exception):
    """Something of the site cannot be set up or does not answer."""


class Site:
    """To be used in a with statement, which takes everything down again."""

    def __init__(self, build, cache, config):
        self.bin = pathlib.Path(build) / "bin"
        self.plugin = pathlib.Path(build) / "lib/spank_tlc.so"
        self.cache, self.config = cache, config
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tlc-soak-", dir="/var/tmp")))
            self.directory.chmod(0o755)
            self.checkpoints, self.jobs = self.directory / "checkpoints", self.directory / "job"
            self.checkpoints.mkdir()
            self.jobs.mkdir()
            self.mount(stack)
            self.run([SUPPORT / "cluster", "user", USER])
            shutil.chown(self.jobs, USER)
            # slurmctld syncs its state often; on a busy disk that alone makes nodes look dead.
            state = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tlc-soak-", dir="/dev/shm")))
            state.chmod(0o755)
            self.cluster_directory = state / "cluster"
            plugstack = self.directory / "plugstack"
            plugstack.write_text(f"optional {self.plugin} launcher={self.bin}/tlc-run config={self.config}\n")
            stack.callback(self.cluster, "stop")
            self.cluster("start", "--nodes", "3", "--plugstack", plugstack)
            os.environ["SLURM_CONF"] = str(self.cluster_directory / "slurm.conf")
            self.nodes = [self.cluster("name", f"n{number}").strip() for number in (1, 2, 3)]
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.stack.close()

    def mount(self, stack):
        disk = tempfile.NamedTemporaryFile(prefix="soak-disk-", dir=self.cache)  # pylint: disable=consider-using-with
        stack.enter_context(disk)
        os.truncate(disk.name, 8 << 30)
        self.run(["mkfs.btrfs", "-q", disk.name])
        self.run(["mount", "-o", "loop,user_subvol_rm_allowed", disk.name, self.checkpoints])
        stack.callback(self.unmount)
        self.checkpoints.chmod(0o1777)

    def unmount(self):
        # A process that was just killed may still be there.
        subprocess.run(["timeout", "30", "sh", "-c", f"until umount -q '{self.checkpoints}'; do sleep 0.2; done"], check=False)

    @staticmethod
    def run(command, **options):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)
        if done.returncode != 0:
            raise SiteError(f"{' '.join(str(word) for word in command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def cluster(self, command, *words):
        return self.run([SUPPORT / "cluster", command, *words, "--dir", self.cluster_directory])

    def keep_logs(self, to, job):
        """For whoever looks for the reason of a failure: Slurm's logs, and what it says at this moment."""
        shutil.copytree(self.cluster_directory / "log", to, dirs_exist_ok=True)
        for name, command in (("job", ["scontrol", "show", "job", job]), ("nodes", ["scontrol", "show", "node"])):
            (to / name).write_text(subprocess.run(command, capture_output=True, text=True, check=False).stdout)

    def as_user(self, command):
        """What the job's owner would do by hand; returns what it printed."""
        variables = [f"HOME={self.jobs}", f"TLC_VM_CHECKPOINT_DIR={self.checkpoints}"]
        return self.run(["runuser", "-u", USER, "--", "env", *variables, *command], cwd=self.jobs)
