// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/slurm/command.hpp>
#include <tlc/slurm/elsewhere.hpp>

namespace tlc {

std::string excluded_with(std::string_view lines, std::string_view id, std::string_view node) {
    while (!lines.empty()) {
        const auto end = lines.find('\n');
        auto line = lines.substr(0, end);
        lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
        const auto bar = line.find('|');
        if (bar == std::string_view::npos || line.substr(0, bar) != id) continue;
        line.remove_prefix(bar + 1);
        while (line.ends_with(' '))
            line.remove_suffix(1);
        if (line.empty() || line == "(null)") break;
        return fmt::format("{},{}", line, node);
    }
    return std::string(node);
}

Status requeue_elsewhere(const std::string& id, const std::string& name, const std::string& node,
                         std::chrono::seconds patience) {
    TLC_TRY_ASSIGN(
        lines,
        run_slurm({"squeue", "--noheader", "--states=all", "--jobs=" + id, "--format=%A|%x"}, patience));
    TLC_TRY(run_slurm({"scontrol", "requeue", name}, patience));
    // Slurm takes it from jobs that wait only. This one cannot start before this copy of it has ended.
    const auto excluded = run_slurm(
        {"scontrol", "update", "jobid=" + name, "ExcNodeList=" + excluded_with(lines, id, node)}, patience);
    if (excluded) return {};
    log::warning("Slurm does not exclude this node, the job is held: {}", excluded.error().message);
    // It would come back here again and again.
    TLC_TRY(run_slurm({"scontrol", "hold", name}, patience));
    return {};
}

} // namespace tlc
