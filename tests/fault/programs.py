# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs of the harness, and where they run."""

import os
import pathlib
import shutil
import subprocess
import tempfile

# Below the directory that is watched; the job makes them itself.
ROOT = "new/root"  # of the job directories
NODE = "node"  # of the node's own, with two levels


class Programs:
    def __init__(self, directory, two_levels, chains):
        self.directory = pathlib.Path(directory).resolve()
        self.two_levels = two_levels
        self.disk = ["chains"] if chains else []
        os.environ["PATH"] = f"{self.directory / 'stand_in'}:{os.environ['PATH']}"  # qemu-img

    def live(self, where, life, journal, **fault):
        """Runs the job below `where`. Returns its exit code and what it said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FAULT_")}
        environment |= {f"FAULT_{name.upper()}": str(value) for name, value in fault.items()}
        environment |= {
            "LD_PRELOAD": str(self.directory / "libfaulty_files.so"),
            "FAULT_DIR": str(where),
            "FAULT_JOURNAL": str(journal),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }
        job = [self.directory / "publish_sequence", where / ROOT, life]
        if self.two_levels:
            job.append(where / NODE)
        ended = subprocess.run(job + self.disk, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, timeout=120, check=False)
        return ended.returncode, ended.stdout.decode(errors="replace").strip()


class Checker:
    """One check_tree, asked again and again."""

    def __init__(self, programs):
        self.program = [programs.directory / "check_tree"] + programs.disk
        self.two_levels = programs.two_levels
        self.process = None

    def ask(self, where, promises):
        """Returns what is wrong, or None."""
        if self.process is None:
            self.process = subprocess.Popen(self.program, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True)
        self.process.stdin.write(f"{where / ROOT}\t{where / NODE if self.two_levels else ''}\t{promises}\n")
        self.process.stdin.flush()
        said = []
        for line in self.process.stdout:
            word, tab, rest = line.rstrip("\n").partition("\t")
            if tab and word in ("ok", "bad"):
                return rest if word == "bad" else None
            said.append(line.strip())
        code = self.process.wait()
        self.process = None
        return f"the checker ended with {code}: {' '.join(said)}"

    def end(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


class Place:
    """A directory for one case after the other, in memory where that is possible."""

    def __init__(self):
        memory = "/dev/shm"
        good = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 256 << 20
        where = memory if good and "TMPDIR" not in os.environ else None
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="tlc-fault.", dir=where)).resolve()
        self.tree = self.path / "tree"
        self.journal = self.path / "journal"

    def clear_tree(self):
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()

    def clear(self):
        self.clear_tree()
        for name in ("journal", "journal.data"):
            (self.path / name).unlink(missing_ok=True)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
