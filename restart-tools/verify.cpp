// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/checkpoint/progress.hpp>

#include <nlohmann/json.hpp>

#include "commands.hpp"

namespace tlc {
namespace {

struct Verdict {
    Status status;
    uint64_t bytes = 0; // read and checked
    bool disk = false;  // there are checksums of it
};

Verdict verify(const JobDirectory& job, const Checkpoint& checkpoint) {
    if (checkpoint.error) return {tl::unexpected(*checkpoint.error)};
    auto parts = CheckpointParts::open(checkpoint.directory);
    if (!parts) return {tl::unexpected(parts.error())};
    std::atomic<uint64_t> done{0};
    Verdict verdict{{}, 0, parts->has_disk_sums()};
    {
        const Progress progress(fmt::format("{} {}", job.path().filename().string(), checkpoint.sequence),
                                parts->image().used_bytes() + parts->disk_bytes(),
                                [&] { return done.load(); });
        verdict.status = parts->verify(done);
    }
    verdict.bytes = done;
    return verdict;
}

void print_row(const JobDirectory& job, const Checkpoint& checkpoint, const Verdict& verdict) {
    std::string result = verdict.status ? "whole" : "DAMAGED: " + verdict.status.error().message;
    if (verdict.status && !verdict.disk) result += "; its disk has no checksums";
    fmt::print("{:<24} {:>6}  {:>10}  {}\n", job.path().filename().string(), checkpoint.sequence,
               size_text(verdict.bytes), result);
}

nlohmann::json as_json(const JobDirectory& job, const Checkpoint& checkpoint, const Verdict& verdict) {
    nlohmann::json row{{"job", job.path().filename().string()},
                       {"sequence", checkpoint.sequence},
                       {"whole", verdict.status.has_value()},
                       {"disk_checked", verdict.disk && verdict.status},
                       {"bytes", verdict.bytes}};
    if (!verdict.status) {
        row["error"] = verdict.status.error().message;
        row["exit_code"] = verdict.status.error().exit_code();
    }
    return row;
}

} // namespace

Status verify_jobs(const std::vector<JobDirectory>& jobs, const VerifyOptions& options) {
    auto rows = nlohmann::json::array();
    std::optional<Error> worst;
    size_t checked = 0;
    size_t broken = 0;
    if (!options.json) fmt::print("{:<24} {:>6}  {:>10}  {}\n", "JOB", "NUMBER", "CHECKED", "RESULT");
    for (const auto& job : jobs) {
        TLC_TRY_ASSIGN(checkpoints, job.list());
        for (const auto& checkpoint : checkpoints) {
            if (options.sequence && checkpoint.sequence != *options.sequence) continue;
            const auto verdict = verify(job, checkpoint);
            ++checked;
            if (!verdict.status) {
                ++broken;
                if (!worst || verdict.status.error().kind == ErrorKind::damaged)
                    worst = verdict.status.error();
            }
            if (options.json)
                rows.push_back(as_json(job, checkpoint, verdict));
            else
                print_row(job, checkpoint, verdict);
            std::fflush(stdout);
            if (!options.all) break; // the newest, or the one that was asked for
        }
    }
    if (options.json) fmt::print("{}\n", rows.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    if (checked == 0) return fail(ErrorKind::no_checkpoint, "there is no such checkpoint");
    if (worst)
        return fail(worst->kind,
                    "{} of {} checkpoints cannot be restored; the others can, see tlc-restart list", broken,
                    checked);
    return {};
}

} // namespace tlc
