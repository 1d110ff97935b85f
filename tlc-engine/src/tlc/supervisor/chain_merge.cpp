// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/chain_merge.hpp>

namespace tlc {
namespace {

constexpr auto patience = std::chrono::seconds(5);
constexpr auto look_every = std::chrono::milliseconds(300);

std::string job_of(const std::string& drive) { return "merge-" + drive; }

// QEMU's name for the image at the bottom of a chain, which is the one raw image of that path.
Result<std::string> bottom_node(Qmp& qmp, const std::filesystem::path& path) {
    TLC_TRY_ASSIGN(nodes, qmp.execute("query-named-block-nodes", {{"flat", true}}, patience));
    for (const auto& node : nodes)
        if (node.value("drv", "") == "raw" && node.value("file", "") == path.string())
            return node.value("node-name", "");
    return fail("QEMU does not have {} open", path.string());
}

} // namespace

void ChainMerge::begin_if_due(Qmp& qmp, const std::filesystem::path& live) {
    if (!drive_.empty()) return;
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
    TLC_TRY_ASSIGN(node, bottom_node(qmp, live / chain.bottom));
    nlohmann::json arguments{{"job-id", job_of(newest.drive)}, {"device", newest.drive}, {"base-node", node}};
    // As it shall stand in the image: a name beside it stays right in every directory.
    arguments["backing-file"] = chain.bottom;
    arguments["auto-dismiss"] = false; // to learn why it failed
    TLC_TRY(qmp.execute("block-stream", std::move(arguments), patience));
    log::info("merging the images of the drive {}, {} over {}", newest.drive, chain.overlays, chain.bottom);
    drive_ = newest.drive;
    told_ = false;
    began_ = next_look_ = Clock::now();
    return {};
}

bool ChainMerge::holds_up_checkpoint() {
    if (drive_.empty()) return false;
    if (!std::exchange(told_, true))
        log::info("a checkpoint waits until the images of the drive {} are merged", drive_);
    return true;
}

void ChainMerge::follow(Qmp& qmp, const std::filesystem::path& live) {
    if (drive_.empty() || Clock::now() < next_look_) return;
    next_look_ = Clock::now() + look_every;
    const auto drive = drive_;
    const auto ended = take_end(qmp, live);
    if (!ended)
        log::warning("the chain of images of the drive {} stays long, merging failed: {}", drive,
                     ended.error().message);
    else if (drive_.empty())
        begin_if_due(qmp, live); // another drive's
}

// An Error if the merge has failed; without one it may still go on.
Status ChainMerge::take_end(Qmp& qmp, const std::filesystem::path& live) {
    // Without an answer QEMU may wait for something else; its end shows itself elsewhere.
    const auto jobs = qmp.execute("query-jobs", nlohmann::json::object(), patience);
    if (!jobs) return {};
    std::string failure = "QEMU has lost it";
    for (const auto& job : *jobs) {
        if (job.value("id", "") != job_of(drive_)) continue;
        if (job.value("status", "") != "concluded") return {};
        failure = job.value("error", "");
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
