# SPDX-License-Identifier: GPL-2.0-or-later
"""results.md: medians, spreads and ratios as tables."""

import statistics

from bench.measure import FOREIGN, LONGEST_WAIT, QUIET, SETTLE, VERIFY
from bench.summary import groups

MEASURES = (("pause_ms", "pause, ms", 1), ("overhead_s", "overhead, s", 2), ("latency_s", "latency, s", 2),
            ("image_mib", "image, MiB", 0))
OTHERS = (("engine_pause_ms", "pause by the engine's own account, ms", 1), ("engine_rss_mib", "engine's memory, MiB", 0),
          ("buffer_peak_mib", "buffer used, MiB", 1), ("working_set_pages", "working set, pages", 0),
          ("table_pages", "pages in the table", 0), ("skipped_opt1", "left out by opt. 1", 0),
          ("skipped_opt2", "left out by opt. 2", 0), ("saved_pages", "pages saved", 0),
          ("huge_mib", "huge pages before, MiB", 0), ("huge_after_mib", "after", 0), ("waited_s", "waited for a processor, s", 2), ("foreign_cpus", "processors used by others", 2))

HOW = f"""## How
* The guest is a program of the benchmark's own as `/init`: it runs the workload and beats every millisecond through the
  debug port, with the work done so far. A recorder with real-time priority writes down when each beat came.
* **Pause** is the longest gap between two beats from the first command until the image is durable. **Latency** is the time
  until it is durable: `tlc-engine` calls fsync by itself; for QEMU's methods the benchmark does when the migration has completed.
* **Overhead** is the work the guest lost, in seconds of its undisturbed speed: from the checkpoint's beginning until {SETTLE} s
  after its end, the time that passed less the time the same work, at the same place of the workload's round, takes undisturbed.
  That is known from a whole round before, and from the {QUIET:g} s of quiet before each measurement, in which the time that
  virtual processors wait for a real one, which others have, is left out, but for the least seen. During the checkpoint it
  counts: the engine may be those others.
  **Execution time** is that of a stretch of work of 10 s with one checkpoint in it: 10 s and the overhead.
* One boot for each workload and run; in it every method once, in an order of the run's own. Before each the older image
  is deleted, `sync` is called, and memory whose huge pages were split is made huge again; then {QUIET:g} s of quiet, or up to
  {LONGEST_WAIT} s until others use less than {FOREIGN} of a processor.
  Images of all methods go into the same directory, through the page cache, which is not dropped: only written is measured.
* QEMU's methods run with `max-bandwidth` unlimited and `downtime-limit` 300 ms; `live-migrate-file` is given up after 30 s,
  after 10 s if an earlier run of that workload did not converge. QEMU's capabilities are reset after each.
* `none` is the control, one second in which nothing is done: what it shows is noise. Few milliseconds more or less mean nothing.
* *Verified*: the image was loaded into a fresh QEMU, where the guest went on for at least a whole round of its workload or
  {VERIFY} s and found its data right. (`iperf3`: where its heart beat; the other end of its connection is not in an image.)
* *Processors used by others* shows whether the machine was used for something else meanwhile; the kernel's own threads
  count as others.
* Tables show medians and, in brackets, least and greatest; x is the ratio to `stop-save`, left out
  where that is not at least twice what the control shows.
"""


def _number(value, digits):
    return f"{value:,.{digits}f}".replace(",", " ")


def _cell(summary, workload, method, column, digits):
    spread = summary.spread(workload, method, column)
    if not spread:
        return ""
    text = _number(spread.median, digits)
    if len(summary.of(workload, method)) > 1:
        text += f" ({_number(spread.low, digits)} to {_number(spread.high, digits)})"
    if method in ("none", "stop-save") or column not in [name for name, _, _ in MEASURES]:
        return text
    ratio = summary.ratio(workload, method, column)
    return text if ratio is None else f"{text}, x{ratio:.2g}"


def _table(head, lines):
    lines = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"


def _verified(summary, workload, method):
    verdicts = [row["verified"] for row in summary.of(workload, method) if "verified" in row]
    return f"{sum(verdicts)} of {len(verdicts)}" if verdicts else ""


def _workload(summary, workload):
    lines = []
    for method in summary.methods:
        rows = summary.of(workload, method)
        if not rows:
            continue
        good = sum(row["status"] == "ok" for row in rows)
        state = [f"{good}" if good == len(rows) else f"{good} of {len(rows)} ({summary.status(workload, method)})"
                 if good else summary.status(workload, method)]
        lines.append([f"`{method}`", *(_cell(summary, workload, method, column, digits) for column, _, digits in MEASURES),
                      *state, _verified(summary, workload, method)])
    return f"### {workload}\n" + _table(["method", *(title for _, title, _ in MEASURES), "measured", "verified"], lines)


def _ratios(summary):
    lines = []
    for method in summary.methods:
        if method in ("none", "stop-save"):
            continue
        line = [f"`{method}`"]
        for column, _, _ in MEASURES:
            found = [ratio for workload in summary.workloads
                     if (ratio := summary.ratio(workload, method, column)) is not None]
            line.append(f"{statistics.median(found):.2g} ({min(found):.2g} to {max(found):.2g}; {len(found)})"
                        if found else "")
        lines.append(line)
    if not any(any(line[1:]) for line in lines):
        return ""
    return ("### Ratios to `stop-save`\nMedian over the workloads, least, greatest, and how many could be compared.\n\n" +
            _table(["method", "pause", "overhead", "latency", "image"], lines))


def _noise(summary):
    lines = []
    for workload in summary.workloads:
        rows = [row for row in summary.of(workload, "none") if row["status"] == "ok"]
        if rows:
            overheads = [row["overhead_s"] for row in rows]
            deviation = _number(statistics.stdev(overheads), 2) if len(rows) > 1 else ""
            lines.append([workload, _cell(summary, workload, "none", "pause_ms", 1),
                          _cell(summary, workload, "none", "overhead_s", 2), deviation])
    return "### Noise: the control\n" + _table(["workload", "pause, ms", "overhead, s", "its standard deviation"],
                                                lines) if lines else ""


def _details(summary):
    lines = []
    for workload in summary.workloads:
        for method in summary.methods:
            cells = ["" if (spread := summary.spread(workload, method, column)) is None else _number(spread.median, digits)
                     for column, _, digits in OTHERS]
            if any(cells):
                lines.append([workload, f"`{method}`", *cells])
    return "### Further medians\n" + _table(["workload", "method", *(title for _, title, _ in OTHERS)], lines)


def _special(summary, title, method, columns):
    """A table of columns that only some rows have."""
    lines = []
    for workload in summary.workloads:
        for name in [method] if method else summary.methods:
            cells = [_cell(summary, workload, name, column, digits) for column, _, digits in columns]
            if any(cells):
                lines.append([workload, f"`{name}`", *cells])
    return f"### {title}\n" + _table(["workload", "method", *(text for _, text, _ in columns)], lines) if lines else ""


def _errors(rows):
    told = sorted({f"* {row['workload']}, `{row['method']}`: {row['status']}: {row.get('error') or row.get('verify_error')}"
                   for row in rows if row.get("error") or row.get("verify_error")})
    return "## What was not measured, or failed\n" + "\n".join(told) + "\n" if told else ""


def text(results):
    parts = ["# Checkpoints of a running VM, measured\n\n"]
    if results.machine:
        parts.append("; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in results.machine.items()) + "\n\n")
    for group, summary in groups(results.rows).items():
        parts.append(f"## Suite `{group.suite}`: {group.vcpus} vCPU, {group.ram_mib} MiB, buffer {group.buffer_mib} MiB\n\n")
        parts += [_ratios(summary), _noise(summary), *(_workload(summary, workload) for workload in summary.workloads)]
        parts.append(_special(summary, "Incremental checkpoints", "cow-incremental", (
            ("full_image_mib", "the full one before, MiB", 0), ("full_latency_s", "its latency, s", 2),
            ("image_mib", "incremental, MiB", 1), ("latency_s", "its latency, s", 2),
            ("copied_pages", "pages copied", 0), ("saved_pages", "saved", 0),
            ("tracking_cost", "share of speed lost in between", 3))))
        parts.append(_special(summary, "The network's throughput", None, (
            ("throughput_undisturbed_mib_s", "undisturbed, MiB/s", 1), ("throughput_ratio", "share of it during", 2),
            ("throughput_gap_ms", "longest gap, ms", 1))))
        parts.append(_details(summary))
    return "".join(parts) + HOW + "\n" + _errors(results.rows)


def write(results):
    with open(f"{results.directory}/results.md", "w") as file:
        file.write(text(results))
