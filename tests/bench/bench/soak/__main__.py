# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/bench/run soak: one job, many interruptions, and whether each has cost what it may."""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time

from bench.soak import findings, job
from bench.soak.interruptions import KINDS, Scene
from bench.soak.plot import plot
from bench.soak.site import Site, SiteError
from bench.soak.watch import Watch

RECOVERY = 240  # seconds from the end of an interruption to the next checkpoint


def drawn(chosen):
    """Every kind comes about as often: all of them in an order of their own, again and again."""
    source = random.Random(chosen.seed)
    kinds = []
    while len(kinds) < chosen.interruptions:
        kinds += source.sample(chosen.kinds, len(chosen.kinds))
    return source, kinds[:chosen.interruptions]


def submit(site, chosen, lines):
    script = site.jobs / "job.sh"
    script.write_text(job.SCRIPT)
    script.chmod(0o755)
    return site.as_user(["sbatch", "--parsable", "--mem=900M", "--output=job.out", f"--vm-checkpoint={chosen.interval}s",
                         "--vm-checkpoint-continue", "job.sh", str(lines)]).strip()


def recovered(scene, nodes):
    """The job computes, has taken another checkpoint, and no node is missing."""
    before, printed = scene.watch.published(), scene.watch.printed()
    scene.wait("a checkpoint after it", lambda: scene.watch.published() > before, RECOVERY)
    scene.wait("lines after it", lambda: scene.watch.printed() > 0 and scene.watch.printed() != printed, RECOVERY)

    def usable():
        states = dict(line.split() for line in scene.site.run(["sinfo", "-h", "-N", "-p", "low", "-o", "%N %t"]).splitlines())
        return all(states[node] in ("idle", "mix", "alloc") for node in nodes)
    scene.wait("all nodes", usable, RECOVERY)


def interrupt(scene, number, kind, chosen, began):
    scene.pause(0, 1.2 * chosen.interval)
    row = {"kind": kind, "when": time.time(), "node": scene.node(), "lives": scene.lives()}
    KINDS[kind](scene)
    row["repaired"] = time.time()
    recovered(scene, scene.site.nodes)
    row["recovered"] = time.time()
    row["lives"] = scene.lives() - row["lives"]
    used = time.time() - began
    left = used / number * (chosen.interruptions - number)
    print(f"soak: {number}/{chosen.interruptions} {kind.replace('_', ' ')} on {row['node']}: going on after {row['recovered'] - row['when']:.0f} s, "
          f"{row['lives']} restored, line {scene.watch.printed()}; {used / 60:.0f} min so far, about {left / 60:.0f} min of interruptions left",
          file=sys.stderr, flush=True)
    return row


def verify(scene):
    found = json.loads(scene.site.as_user([str(scene.site.bin / "tlc-restart"), "verify", "--all", "--json", scene.job]))
    if not found or not all(row["whole"] for row in found):
        raise SiteError(f"a listed checkpoint is damaged: {found}")
    return len(found)


def soak(site, chosen, lines):
    source, kinds = drawn(chosen)
    number = submit(site, chosen, lines)
    began = time.time()
    name = f"{site.run(['scontrol', 'show', 'config']).split('ClusterName')[1].split('=')[1].split()[0]}-{number}"
    watch = Watch(site.jobs / "job.out", site.checkpoints / name)
    watch.start()
    scene = Scene(site, watch, number, source)
    problem, rows, verified = None, [], 0
    try:
        scene.wait("the first checkpoint", lambda: watch.published() > 0)
        for count, kind in enumerate(kinds, 1):
            rows.append(interrupt(scene, count, kind, chosen, began))
            if count % 4 == 0:
                verified += verify(scene)
        print("soak: the job goes on to its end", file=sys.stderr, flush=True)
        scene.wait("the end of the job", lambda: scene.field("JobState") not in ("RUNNING", "PENDING", "COMPLETING"), lines * job.PACE * 2 + 300)
    except SiteError as error:
        problem = str(error)
        site.keep_logs(pathlib.Path(chosen.out) / "cluster", number)
    finally:
        watch.stop()
    return {"job": number, "scene": scene, "rows": rows, "began": began, "ended": time.time(), "problem": problem, "verified": verified}


def judge(run, chosen, lines):
    watch = run["scene"].watch
    if not watch.checkpoints or not watch.lives:
        raise SiteError(run["problem"] or "the job was over before its first checkpoint")
    text = watch.output.read_text()
    lives, pace = findings.stretches(watch, text), findings.pace(watch)
    rows = run["rows"]
    # What a line takes, as where a checkpoint lies is known to a line.
    limit = chosen.interval + max(c.latency for c in watch.checkpoints) + pace
    for row, following in zip(rows, rows[1:] + [{"when": float("inf")}]):
        row["lost_lines"] = findings.lost_after(lives, row["when"], following["when"])
        row["lost_s"] = round(row["lost_lines"] * pace, 2)
    problems = [run["problem"]] if run["problem"] else []
    if not run["problem"]:
        problems += findings.wrongs(watch, text, lines, run["scene"].field("JobState"))
    problems += [f"interruption {number} ({row['kind']}) has cost {row['lost_s']} s of work" for number, row in enumerate(rows, 1)
                 if row["lost_s"] > limit]
    return {"began": run["began"], "ended": run["ended"], "seed": chosen.seed, "interval_s": chosen.interval, "lines": lines,
            "pace_s": round(pace, 3), "limit_s": round(limit, 2), "nodes": run["scene"].site.nodes, "interruptions": rows,
            "lives": [vars(life) for life in lives], "checkpoints": [vars(c) for c in watch.checkpoints], "verified": run["verified"],
            "problems": problems}


def table(result):
    lines = ["| | after, min | interruption | node | restored | goes on after, s | computed again, s |", "|---|---|---|---|---|---|---|"]
    for number, row in enumerate(result["interruptions"], 1):
        lines.append(f"| {number} | {(row['when'] - result['began']) / 60:.1f} | {row['kind'].replace('_', ' ')} | {row['node']} | {row['lives']} | "
                     f"{row['recovered'] - row['when']:.0f} | {row['lost_s']:.1f} |")
    return "\n".join(lines) + "\n"


def summary(result):
    rows, checkpoints = result["interruptions"], result["checkpoints"]
    lost = sum(row["lost_s"] for row in rows)
    pauses = sorted(c["pause"] for c in checkpoints)
    text = (f"{len(rows)} interruptions, {len(result['lives'])} lives, {len(checkpoints)} checkpoints every {result['interval_s']:g} s (pause {pauses[len(pauses) // 2] * 1000:.0f} ms, "
            f"at most {pauses[-1] * 1000:.0f} ms), {result['verified']} read back whole; {result['lines']} lines at {result['pace_s']} s took "
            f"{(result['ended'] - result['began']) / 60:.0f} min. Computed again: {lost:.0f} s in all, at most {max((row['lost_s'] for row in rows), default=0):.1f} s; "
            f"allowed {result['limit_s']:.1f} s (the interval, the longest checkpoint, a line).\n")
    return text + "".join(f"WRONG: {problem}\n" for problem in result["problems"])


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run soak", description="A job on three nodes, interrupted in every way.")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--interruptions", type=int, default=40, metavar="N", help="default: 40")
    parser.add_argument("--minutes", type=float, default=30, metavar="M", help="that the job would take undisturbed (default: 30)")
    parser.add_argument("--interval", type=float, default=10, metavar="S", help="seconds between checkpoints (default: 10)")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--kinds", default=",".join(KINDS), metavar="A,B", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.kinds = chosen.kinds.split(",")
    unknown = [kind for kind in chosen.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"no interruption {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if chosen.interruptions < 1 or chosen.minutes <= 0 or chosen.interval < 5:
        parser.error("--interruptions must be at least 1, --minutes greater than 0, --interval at least 5")
    return chosen


def main():
    chosen = options()
    if chosen.check:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak: ended by TERM"))
    lines = max(20, int(chosen.minutes * 60 / job.PACE))
    out = pathlib.Path(chosen.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    with Site(os.environ["TLC_BUILD"], os.environ["TLC_CACHE"], os.environ["TLC_CONFIG"]) as site:
        run = soak(site, chosen, lines)
        (out / "tlc.log").write_text("\n".join(run["scene"].watch.log) + "\n")
        (out / "job.out").write_bytes(run["scene"].watch.output.read_bytes())
        result = judge(run, chosen, lines)
    (out / "soak.json").write_text(json.dumps(result, indent=1))
    (out / "soak.md").write_text(table(result) + "\n" + summary(result))
    plot(result, out / "soak.svg")
    print(json.dumps(result) if chosen.json else table(result) + "\n" + summary(result))
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SiteError as error:
        sys.exit(f"soak: {error}")
