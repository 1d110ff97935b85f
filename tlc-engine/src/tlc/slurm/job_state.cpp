// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/slurm/command.hpp>
#include <tlc/slurm/job_state.hpp>

#include <charconv>

namespace tlc {
namespace {

// squeue and not scontrol: there a job's name or comment can hold what looks like any other field. The
// comment is the last field, it may hold anything.
constexpr const char* fields = "JobID:|,State:|,Reason:|,RestartCnt:|,Requeue:|,PreemptTime:|,EndTime:|,"
                               "SubmitTime:|,Comment:|";

std::string_view take_field(std::string_view& line) {
    const auto bar = line.find('|');
    const auto field = line.substr(0, bar);
    line.remove_prefix(bar == std::string_view::npos ? line.size() : bar + 1);
    return field;
}

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// "N/A" and "NONE" are no time.
std::optional<SlurmJob::Time> time_in(std::string_view text) {
    const auto seconds = number_in<int64_t>(text);
    if (!seconds || *seconds <= 0) return std::nullopt;
    return SlurmJob::Time(std::chrono::seconds(*seconds));
}

std::optional<SlurmJob> parse_line(std::string_view line) {
    SlurmJob job;
    job.state = take_field(line);
    job.reason = take_field(line);
    const auto restarts = number_in<unsigned>(take_field(line));
    job.requeue = take_field(line) != "0";
    job.preempted = time_in(take_field(line)).has_value();
    job.ends = time_in(take_field(line));
    job.submitted = time_in(take_field(line));
    if (!restarts || job.state.empty()) return std::nullopt;
    job.restarts = *restarts;
    if (line.ends_with('|')) line.remove_suffix(1);
    if (line != "(null)") job.comment = line;
    return job;
}

// Begins what is ours in the comment; what is before it is the user's.
constexpr std::string_view comment_mark = "[tlc: ";
constexpr std::string_view checkpoint_word = "checkpoint ";

// "checkpoint 3 of ..." in what stands there of ours; empty: nothing does.
std::string_view checkpoint_in(std::string_view comment) {
    const auto mark = comment.find(comment_mark);
    if (mark == std::string_view::npos) return {};
    const auto ours = comment.substr(mark + comment_mark.size());
    return ours.starts_with(checkpoint_word) ? ours.substr(0, ours.find_first_of(";]")) : std::string_view{};
}

std::string with_comment(std::string_view old, std::string_view text) {
    // What is told of besides does not hide that there is a checkpoint.
    const auto kept = text.starts_with(checkpoint_word) ? std::string_view{} : checkpoint_in(old);
    auto users = old.substr(0, old.find(comment_mark));
    while (!users.empty() && users.back() == ' ')
        users.remove_suffix(1);
    return fmt::format("{}{}{}{}{}{}]", users, users.empty() ? "" : " ", comment_mark, kept,
                       kept.empty() ? "" : "; ", text);
}

} // namespace

std::optional<SlurmJob> parse_slurm_job(std::string_view lines, std::string_view id) {
    while (!lines.empty()) {
        const auto end = lines.find('\n');
        auto line = lines.substr(0, end);
        lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
        // The members of an array that have not begun are listed with the one that has its number.
        if (take_field(line) == id) return parse_line(line);
    }
    return std::nullopt;
}

Result<SlurmJob> ask_slurm_job(const std::string& id, std::chrono::seconds patience) {
    TLC_TRY_ASSIGN(
        text,
        run_slurm({"squeue", "--noheader", "--states=all", "--jobs=" + id, "--Format", fields}, patience));
    auto job = parse_slurm_job(text, id);
    if (!job) return fail("squeue does not know job {}: {}", id, text);
    return std::move(*job);
}

bool tells_of_checkpoint(std::string_view comment) { return !checkpoint_in(comment).empty(); }

Status set_slurm_comment(const std::string& name, std::string_view old, std::string_view text,
                         std::chrono::seconds patience) {
    TLC_TRY(
        run_slurm({"scontrol", "update", "jobid=" + name, "comment=" + with_comment(old, text)}, patience));
    return {};
}

Fate fate_of(const SlurmJob& job, unsigned restarts) {
    // COMPLETING is a job that is out of time, cancelled, or being requeued. The last one's restarts are
    // counted already.
    if (job.reason == "TimeLimit" || job.state == "TIMEOUT") return Fate::timed_out;
    if (job.state == "COMPLETING" && job.restarts <= restarts) return Fate::told;
    return job.state == "CANCELLED" || job.state == "RUNNING" ? Fate::told : Fate::requeued;
}

bool is_replaced(const SlurmJob& job, unsigned restarts) {
    // While it is COMPLETING Slurm waits for this copy.
    return job.restarts > restarts && job.state != "COMPLETING";
}

} // namespace tlc
