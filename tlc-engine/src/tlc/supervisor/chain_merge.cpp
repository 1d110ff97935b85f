// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/chain_merge.hpp>

#include <sys/stat.h>

namespace tlc {
namespace {

constexpr auto patience = std::chrono::seconds(5);
constexpr auto look_every = std::chrono::milliseconds(300);
constexpr auto rest = std::chrono::seconds(30);
// For what the job writes meanwhile: a VM whose disk is full stops.
constexpr uint64_t reserve = uint64_t{32} << 20;

std::string job_of(const std::string& drive) { return "merge-" + drive; }

// QEMU's name for the image at the bottom of a chain, which is the one raw image of that path.
Result<std::string> bottom_node(Qmp& qmp, const std::filesystem::path& path) {
    TLC_TRY_ASSIGN(nodes, qmp.execute("query-named-block-nodes", {{"flat", true}}, patience));
    for (const auto& node : nodes)
        if (node.value("drv", "") == "raw" && node.value("file", "") == path.string())
            return node.value("node-name", "");
    return fail("QEMU does not have {} open", path.string());
}

// What QEMU says of the merge of a drive; null: it has none.
Result<nlohmann::json> find_job(Qmp& qmp, const std::string& drive) {
    TLC_TRY_ASSIGN(jobs, qmp.execute("query-jobs", nlohmann::json::object(), patience));
    for (const auto& job : jobs)
        if (job.value("id", "") == job_of(drive)) return job;
    return nlohmann::json();
}

// A merge copies no more than what lies in the overlays below the newest.
Status check_room(const std::filesystem::path& live, const ImageChain& chain) {
    uint64_t needed = reserve;
    for (size_t i = 1; i < chain.images.size() && !chain.images[i].raw(); ++i) {
        struct stat info {};
        if (::stat((live / chain.images[i].file).c_str(), &info) == 0)
            needed += static_cast<uint64_t>(info.st_blocks) * 512;
    }
    TLC_TRY_ASSIGN(free, free_space(live));
    if (free >= needed) return {};
    return fail("it may need {}, and {} are free", size_text(needed), size_text(free));
}

} // namespace

void ChainMerge::begin_if_due(Qmp& qmp, const std::filesystem::path& live) {
    if (!drive_.empty() || Clock::now() < not_before_) return;
    const auto files = list_disk_files(live);
    if (!files) return log::warning("{}", files.error().message);
    for (const auto& [drive, newest] : files->newest) {
        if (auto begun = begin(qmp, live, newest); !begun)
            log::warning("the chain of images of the drive {} grows, it cannot be merged: {}", drive,
                         begun.error().message);
        if (!drive_.empty()) return;
    }
}

Status ChainMerge::begin(Qmp& qmp, const std::filesystem::path& live, const DiskImage& newest) {
    TLC_TRY_ASSIGN(chain, read_chain(live, newest));
    if (chain.overlays <= longest) return {};
    TLC_TRY(check_room(live, chain));
    TLC_TRY_ASSIGN(node, bottom_node(qmp, live / chain.bottom));
    nlohmann::json arguments{{"job-id", job_of(newest.drive)}, {"device", newest.drive}, {"base-node", node}};
    // As it shall stand in the image: a name beside it stays right in every directory.
    arguments["backing-file"] = chain.bottom;
    arguments["auto-dismiss"] = false; // to learn why it failed
    if (auto begun = qmp.execute("block-stream", std::move(arguments), patience); !begun) {
        // QEMU may have begun and answered too late, now or at an earlier attempt.
        const auto job = find_job(qmp, newest.drive);
        if (!job || job->is_null()) return tl::unexpected(begun.error());
    }
    log::info("merging the images of the drive {}, {} over {}", newest.drive, chain.overlays, chain.bottom);
    drive_ = newest.drive;
    told_ = cancelled_ = false;
    progress_ = 0;
    unmoved_ = {};
    began_ = next_look_ = Clock::now();
    return {};
}

bool ChainMerge::holds_up_checkpoint() {
    if (drive_.empty()) return false;
    if (!std::exchange(told_, true))
        log::info("a checkpoint waits until the images of the drive {} are merged", drive_);
    return true;
}

void ChainMerge::cancel(Qmp& qmp) {
    not_before_ = Clock::now() + rest;
    if (drive_.empty() || cancelled_) return;
    // It may have ended just now.
    if (!qmp.execute("job-cancel", {{"id", job_of(drive_)}}, patience)) return;
    cancelled_ = true;
    log::info("the merging of the images of the drive {} is cancelled", drive_);
    next_look_ = Clock::now();
}

void ChainMerge::follow(Qmp& qmp, const std::filesystem::path& live) {
    if (drive_.empty() || Clock::now() < next_look_) return;
    next_look_ = Clock::now() + (cancelled_ ? look_every / 10 : look_every);
    const auto drive = drive_;
    const auto ended = take_end(qmp, live);
    if (!ended)
        log::warning("the chain of images of the drive {} stays long, merging failed: {}", drive,
                     ended.error().message);
    else if (drive_.empty())
        begin_if_due(qmp, live); // another drive's
}

// Its I/O may hang where QEMU's own answers come. Only time in which we looked counts: a node can be
// suspended.
void ChainMerge::watch(Qmp& qmp, const nlohmann::json& job) {
    const auto progress = job.value("current-progress", uint64_t{0});
    unmoved_ = progress == std::exchange(progress_, progress) ? unmoved_ + look_every : look_every * 0;
    if (unmoved_ < stall_limit_ || cancelled_) return;
    log::warning("the merging of the images of the drive {} does not move; it is cancelled", drive_);
    cancelled_ = qmp.execute("job-cancel", {{"id", job_of(drive_)}}, patience).has_value();
}

// An Error if the merge has failed; without one it may still go on.
Status ChainMerge::take_end(Qmp& qmp, const std::filesystem::path& live) {
    // Without an answer QEMU may wait for something else; its end shows itself elsewhere.
    const auto job = find_job(qmp, drive_);
    if (!job) return {};
    std::string failure = "QEMU has lost it";
    if (!job->is_null()) {
        if (job->value("status", "") != "concluded") {
            watch(qmp, *job);
            return {};
        }
        failure = job->value("error", "");
        (void)qmp.execute("job-dismiss", {{"id", job_of(drive_)}}, patience);
    }
    const auto drive = std::exchange(drive_, {});
    if (!failure.empty()) return fail("{}", failure);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_);
    log::info("merged the images of the drive {} took={}", drive, duration_text(took));
    const auto removed = remove_unused_images(live);
    if (!removed) log::warning("{}", removed.error().message);
    // QEMU keeps open what it was told to open, and what lies below that. Others it knows by other names.
    for (const auto& file : removed.value_or(std::vector<std::string>{}))
        (void)qmp.execute("blockdev-del", {{"node-name", file}}, patience);
    return {};
}

} // namespace tlc
