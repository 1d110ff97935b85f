# SPDX-License-Identifier: GPL-2.0-or-later
"""The soak as a picture: where the job ran, its checkpoints, each interruption and what it has cost."""


def plot(result, path):
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    pyplot.rcParams.update({"svg.hashsalt": "tlc", "svg.fonttype": "none", "font.size": 9})
    figure, (top, bottom) = pyplot.subplots(2, 1, figsize=(13, 6), sharex=True, height_ratios=(3, 2))
    start = result["began"]
    nodes = result["nodes"]
    for life in result["lives"]:
        top.barh(nodes.index(life["node"]), (life["ended"] - life["began"]) / 60, left=(life["began"] - start) / 60, height=0.6,
                 color="#9ecae1", edgecolor="#4292c6", linewidth=0.6)
    where = {life["epoch"]: nodes.index(life["node"]) for life in result["lives"]}
    top.plot([(c["taken"] - start) / 60 for c in result["checkpoints"]], [where[c["epoch"]] for c in result["checkpoints"]], "|",
             color="#08306b", markersize=9, markeredgewidth=0.7)
    kinds = sorted({row["kind"] for row in result["interruptions"]})
    colours = pyplot.get_cmap("tab20")
    for number, row in enumerate(result["interruptions"]):
        colour = colours(kinds.index(row["kind"]) % 20)
        when = (row["when"] - start) / 60
        top.axvline(when, color=colour, linewidth=0.9, alpha=0.8)
        top.text(when, len(nodes) - 0.35 + 0.22 * (number % 3), str(number + 1), ha="center", fontsize=6, color=colour)
        bottom.bar(when, row["lost_s"], width=0.25, color=colour)
    for kind in kinds:
        bottom.bar(0, 0, color=colours(kinds.index(kind) % 20), label=kind.replace("_", " "))
    bottom.axhline(result["limit_s"], color="#cb181d", linewidth=0.8)
    bottom.text(0, result["limit_s"], " the interval and the longest checkpoint", color="#cb181d", va="bottom", fontsize=8)
    top.set_yticks(range(len(nodes)), nodes)
    top.set_ylim(-0.6, len(nodes) + 0.4)
    top.set_title("where the job computed; | a checkpoint; lines: interruptions", fontsize=10)
    bottom.set_ylabel("work computed again, s")
    bottom.set_xlabel("minutes")
    bottom.set_ylim(0, result["limit_s"] * 1.25)
    bottom.legend(frameon=False, fontsize=7, ncol=6, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    for axes in (top, bottom):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
