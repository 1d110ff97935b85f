# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures: bars for each workload and method, and the pause by the VM's memory."""

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

from bench.summary import groups  # noqa: E402

# QEMU's ways in greys and blues, the paper's in yellow to red, copy on write in greens.
COLOURS = {"none": "#d9d9d9", "stop-save": "#252525", "mapped-ram": "#636363", "mapped-ram-multifd": "#969696",
           "background-snapshot": "#2171b5", "live-migrate-file": "#9ecae1", "log-nonstop": "#fed976",
           "log-1000": "#fd8d3c", "mem-1000": "#e31a1c", "onepass": "#800026", "cow": "#238b45",
           "cow-incremental": "#a1d99b"}
STRETCH = 10  # seconds of work that the execution time is told for


def _bars(axes, summary, workloads, methods, column, base=0.0):
    width = 0.86 / len(methods)
    for number, method in enumerate(methods):
        places, heights, below, above, missing = [], [], [], [], []
        for at, workload in enumerate(workloads):
            place = at - 0.43 + (number + 0.5) * width
            spread = summary.spread(workload, method, column)
            if spread:
                places.append(place)
                heights.append(base + spread.median)
                below.append(spread.median - spread.low)
                above.append(spread.high - spread.median)
            elif summary.status(workload, method) == "did-not-converge":
                missing.append(place)
        axes.bar(places, heights, width * 0.94, color=COLOURS[method], label=method, zorder=2)
        axes.errorbar(places, heights, [below, above], fmt="none", ecolor="#000000", elinewidth=0.7, capsize=1.5, zorder=3)
        for place in missing:
            axes.annotate("×", (place, 0.01), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                          color="#cb181d", fontsize=9, zorder=4)
    axes.set_xticks(range(len(workloads)), workloads)
    axes.set_xlim(-0.55, len(workloads) - 0.45)
    axes.grid(axis="y", color="#cccccc", linewidth=0.5, zorder=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _save(figure, path):
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def _bar_figure(path, summary, group, title, unit, column, methods, base=0.0, log=False):
    methods = [method for method in methods if any(summary.spread(w, method, column) for w in summary.workloads)]
    if not methods:
        return
    figure, axes = pyplot.subplots(figsize=(max(6.0, 1.6 * len(summary.workloads)), 4.2))
    _bars(axes, summary, summary.workloads, methods, column, base)
    if log:
        axes.set_yscale("log")
    elif base == 0:
        axes.axhline(0, color="#000000", linewidth=0.8, zorder=3)
    axes.set_ylabel(unit)
    axes.set_title(f"{title}\n{group.vcpus} vCPU, {group.ram_mib} MiB of memory, buffer {group.buffer_mib} MiB; "
                   "medians, lines from least to greatest; ×: did not converge", fontsize=10)
    axes.legend(ncol=6, fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.09))
    _save(figure, path)


def _figures(directory, group, summary):
    name = f"{group.suite}-{group.vcpus}cpu-{group.ram_mib}mib"
    saving = [method for method in summary.methods if method != "none"]
    _bar_figure(f"{directory}/execution-time-{name}.svg", summary, group,
                f"Execution time of {STRETCH} s of work with one checkpoint in it", "seconds", "overhead_s",
                summary.methods, base=STRETCH)
    _bar_figure(f"{directory}/overhead-{name}.svg", summary, group, "Overhead: the guest's work lost",
                "seconds of its undisturbed speed", "overhead_s", summary.methods)
    _bar_figure(f"{directory}/latency-{name}.svg", summary, group, "Latency: until the checkpoint is durable",
                "seconds", "latency_s", saving)
    _bar_figure(f"{directory}/pause-{name}.svg", summary, group, "Pause: longest gap of the guest's heartbeat",
                "milliseconds, logarithmic", "pause_ms", summary.methods, log=True)
    _bar_figure(f"{directory}/memory-{name}.svg", summary, group, "Memory: most that the engine used",
                "MiB resident", "engine_rss_mib", saving)
    _bar_figure(f"{directory}/buffer-{name}.svg", summary, group, "Memory: most of the buffer in use",
                "MiB", "buffer_peak_mib", saving)
    _bar_figure(f"{directory}/image-{name}.svg", summary, group, "Size of the image on disk", "MiB", "image_mib", saving)


def _pause_by_memory(path, summaries):
    """summaries: (GiB, Summary) of the same suite."""
    figure, axes = pyplot.subplots(figsize=(6, 4))
    workload = summaries[0][1].workloads[0]
    for method in summaries[0][1].methods:
        points = [(gib, spread) for gib, summary in summaries if (spread := summary.spread(workload, method, "pause_ms"))]
        if not points:
            continue
        spreads = [spread for _, spread in points]
        axes.errorbar([gib for gib, _ in points], [spread.median for spread in spreads],
                      [[s.median - s.low for s in spreads], [s.high - s.median for s in spreads]],
                      marker="o", capsize=3, color=COLOURS[method], label=method)
    axes.set_xscale("log", base=2)
    axes.set_xticks([gib for gib, _ in summaries], [f"{gib:g}" for gib, _ in summaries])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("memory of the VM, GiB, nearly all of it touched")
    axes.set_ylabel("milliseconds")
    axes.set_title("Pause by the VM's memory\nmedians, lines from least to greatest", fontsize=10)
    axes.grid(color="#cccccc", linewidth=0.5)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def write(results):
    pyplot.rcParams.update({"svg.hashsalt": "tlc", "svg.fonttype": "none", "font.size": 9})
    found = groups(results.rows)
    for group, summary in found.items():
        if group.suite != "ram":
            _figures(results.directory, group, summary)
    by_memory = [(group.ram_mib / 1024, summary) for group, summary in found.items() if group.suite == "ram"]
    if by_memory:
        _pause_by_memory(f"{results.directory}/pause-by-memory.svg", by_memory)
