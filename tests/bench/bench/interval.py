# SPDX-License-Identifier: GPL-2.0-or-later
"""--vm-checkpoint=auto against fixed intervals, simulated: runs interval/ with TLC's own policy and tells what came out."""

import argparse
import csv
import math
import os
import subprocess
import sys
from collections import namedtuple

Group = namedtuple("Group", "case failures nodes")
# Ways to choose, and what they are in the tables.
AUTO = {"auto": "auto", "auto-mtbf/3": "MTBF told 3 times too short", "auto-mtbf*3": "MTBF told 3 times too long"}
ESTIMATED = {"auto-estimated": "cost guessed from pause and latency", "auto-estimated-mtbf*3": "and MTBF told 3 times too long"}
# With the limit that tlc.toml has if the site writes none.
SHIPPED = {"auto-max-0.5": "with max_overhead 0.5, the default", "auto-max-0.5-mtbf/3": "and MTBF told 3 times too short",
           "auto-max-0.5-mtbf*3": "and MTBF told 3 times too long", "auto-max-0.5-estimated": "and cost guessed"}
LIMITED = {"auto-max-0.1": "0.1", "auto-max-0.05": "0.05", "auto-max-0.02": "0.02"}
# These have to be within LIMIT of the best fixed interval.
JUDGED = ("auto", "auto-mtbf/3", "auto-mtbf*3", "auto-max-0.5", "auto-max-0.5-mtbf/3", "auto-max-0.5-mtbf*3")
LIMIT = 1.05


def groups(rows):
    found = {}
    for row in rows:
        group = Group(row["case"], row["failures_are"], int(row["nodes"]))
        found.setdefault(group, []).append(row)
    return found


def best_fixed(rows):
    done = [row for row in rows if row["policy"] == "fixed" and row["of_best_fixed"]]
    return min(done, key=lambda row: float(row["completion"])) if done else None


def one(rows, policy):
    return next(row for row in rows if row["policy"] == policy)


def ratio(row, column="of_best_fixed"):
    return f"{float(row[column]):.3f}" if row[column] else f"{float(row['done_percent']):.1f} % done"


def interval_text(seconds):
    seconds = float(seconds)
    if math.isinf(seconds):
        return "none"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(line) + " |" for line in lines])


def full_table(found):
    lines = []
    for group, rows in found.items():
        best, auto = best_fixed(rows), one(rows, "auto")
        cells = [group.case, group.failures, f"{group.nodes:,}", auto["failures"]]
        cells += [interval_text(best["interval_s"]), best["completion"], best["redone"]] if best else ["none completes", "", ""]
        cells += [auto["completion"], auto["redone"], auto["slowed"]]
        lines.append(cells + [ratio(one(rows, policy)) for policy in (*AUTO, *ESTIMATED, *SHIPPED, *LIMITED)])
    return table(["case", "failures", "nodes", "failures a job", "best fixed", "its time", "its lost work", "auto: time", "lost work",
                  "cost of checkpoints", *("auto" if k == "auto" else k.removeprefix("auto-") for k in (*AUTO, *ESTIMATED, *SHIPPED, *LIMITED))], lines)


def worst(found, policy, nodes, column="of_best_fixed"):
    """The greatest quotient over cases and kinds of failures; in how many the job was not always done, but is with a fixed one."""
    rows = [(one(rows, policy), best_fixed(rows)) for group, rows in found.items() if group.nodes == nodes]
    undone = sum(1 for row, best in rows if best and not row["of_best_fixed"])
    values = [float(row[column]) for row, _ in rows if row[column]]
    return f"{max(values):.3f}" + (f" ({undone} not done)" if undone else "")


def worst_table(found):
    nodes = sorted({group.nodes for group in found})
    lines = [[text, *(worst(found, policy, count) for count in nodes)] for policy, text in {**AUTO, **ESTIMATED, **SHIPPED}.items()]
    for policy, limit in LIMITED.items():
        lines.append([f"auto with max_overhead {limit}", *(worst(found, policy, count) for count in nodes)])
        lines.append(["against fixed ones that keep to it", *(worst(found, policy, count, "of_best_allowed") for count in nodes)])
    return table(["nodes", *(f"{count:,}" for count in nodes)], lines)


def plot(found, path):
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    pyplot.rcParams.update({"svg.hashsalt": "tlc", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    colours = pyplot.get_cmap("viridis")
    shown = [group for group in found if group.case == "live-64g" and group.failures == "weibull"]
    for number, group in enumerate(shown):
        rows, colour = found[group], colours(number / len(shown))
        fixed = [row for row in rows if row["policy"] == "fixed" and float(row["done_percent"]) == 100 and row["interval_s"] != "inf"]
        left.plot([float(row["interval_s"]) for row in fixed], [float(row["completion"]) for row in fixed], color=colour,
                  label=f"{group.nodes:,} node{'s'[:group.nodes > 1]}")
        left.axhline(float(one(rows, "auto-mtbf*3")["completion"]), color=colour, linestyle=":", linewidth=1)
    left.set_xscale("log")
    left.set_ylim(0.98, 1.8)
    left.set_xlabel("fixed interval, seconds")
    left.set_ylabel("time to completion / work")
    left.set_title("live-64g, Weibull failures; dotted: auto, MTBF told 3 times too long", fontsize=10)
    left.legend(frameon=False, fontsize=8)
    for number, case in enumerate(dict.fromkeys(group.case for group in found)):
        for policy, style in (("auto", "-"), ("auto-mtbf*3", "--"), ("auto-mtbf/3", ":")):
            points = {}
            for group, rows in found.items():
                if group.case == case and one(rows, policy)["of_best_fixed"]:
                    points[group.nodes] = max(points.get(group.nodes, 0), float(one(rows, policy)["of_best_fixed"]))
            right.plot(*zip(*sorted(points.items())), style, color=f"C{number}", label=case if policy == "auto" else None)
    right.axhline(LIMIT, color="#cb181d", linewidth=0.8)
    right.set_xscale("log")
    right.set_ylim(0.97, 1.08)
    right.set_xlabel("nodes (5 years between two failures of one)")
    right.set_ylabel("auto's time / best fixed interval's, the worse kind of failures")
    right.set_title("MTBF told right (line), 3 times too long (dashes), too short (dots)", fontsize=10)
    right.legend(frameon=False, fontsize=8, ncol=2)
    for axes in (left, right):
        axes.grid(color="#cccccc", linewidth=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def missed(found):
    """Where auto, with the MTBF right or wrong, takes more than 5 % longer than the best fixed interval."""
    return [(*group, policy, ratio(one(rows, policy))) for group, rows in found.items() for policy in JUDGED
            if best_fixed(rows) and not (one(rows, policy)["of_best_fixed"] and float(one(rows, policy)["of_best_fixed"]) <= LIMIT)]


def report(directory):
    with open(os.path.join(directory, "interval.csv"), newline="") as file:
        found = groups(csv.DictReader(file))
    hopeless = [group for group, rows in found.items() if not best_fixed(rows)]
    with open(os.path.join(directory, "interval.md"), "w") as file:
        file.write("Greatest quotient of auto's mean time to completion and the best fixed interval's, over all cases:\n\n"
                   f"{worst_table(found)}\n\nTimes are of the work; the last columns are such quotients:\n\n{full_table(found)}\n")
        for group in hopeless:
            file.write(f"\nNo interval completes every job: {group.case}, {group.failures}, {group.nodes} nodes.\n")
    plot(found, os.path.join(directory, "interval.svg"))
    for line in missed(found):
        print("bench: not within 5 %:", *line, file=sys.stderr)
    print(f"bench: {len(found)} combinations; auto within 5 % of the best fixed interval: "
          f"{'no' if missed(found) else 'yes, wherever one completes'}")


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run interval", description="Simulates --vm-checkpoint=auto.")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--out", metavar="DIR")
    group.add_argument("--report", metavar="DIR", help="only interval.md and the plot again, from interval.csv")
    parser.add_argument("--traces", type=int, default=1000, metavar="N", help="jobs simulated of each kind (default: 1000)")
    parser.add_argument("--seed", type=int, default=20060101, metavar="N")
    parser.add_argument("--days", type=float, default=3, help="work of a job (default: 3)")
    parser.add_argument("--node-mtbf-years", type=float, default=5, metavar="Y", help="default: 5")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.traces < 2 or chosen.seed < 1 or chosen.days <= 0 or chosen.node_mtbf_years <= 0:
        parser.error("--traces must be at least 2, the others greater than 0")
    if chosen.check:
        return
    if chosen.out:
        os.makedirs(chosen.out, exist_ok=True)
        program = os.path.join(os.environ["TLC_BUILD"], "tests/interval_simulation")
        arguments = [f"--{name}={value}" for name, value in (("traces", chosen.traces), ("seed", chosen.seed), ("days", chosen.days),
                                                             ("node-mtbf-years", chosen.node_mtbf_years))]
        partial = os.path.join(chosen.out, "interval.csv.part")
        with open(partial, "w") as file:
            subprocess.run([program, *(part for text in arguments for part in text.split("="))], stdout=file, check=True)
        os.rename(partial, os.path.join(chosen.out, "interval.csv"))
    report(chosen.out or chosen.report)


if __name__ == "__main__":
    main()
