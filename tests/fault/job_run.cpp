// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_run.hpp"

#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
#include <tlc/checkpoint/carry.hpp>
#include <tlc/checkpoint/chain.hpp>

#include <fcntl.h>
#include <system_error>
#include <unistd.h>

#include "contents.hpp"

namespace tlc::test {
namespace {

namespace fs = std::filesystem;

Status remove_disk(const fs::path& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return fail_errno(error.value(), fmt::format("cannot remove {}", path.string()));
    return {};
}

void warn(const Status& status) {
    if (!status) fmt::print(stderr, "warning: {}\n", status.error().message);
}

// In place of a snapshot; it is not durable yet.
Status write_disk(const fs::path& path, uint64_t step) {
    TLC_TRY(make_directory(path));
    for (const auto& [name, text] : disk_at(step)) {
        TLC_TRY_ASSIGN(file, open_file(path / name, O_WRONLY | O_CREAT | O_EXCL));
        TLC_TRY(write_all(file.get(), std::as_bytes(std::span(text))));
    }
    return {};
}

Result<uint64_t> size_of(const fs::path& path) {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) return fail("cannot look at {}: {}", path.string(), error.message());
    return size;
}

// What SaveRun's destructor does after a failure.
class Undo {
  public:
    explicit Undo(fs::path out) : out_(std::move(out)) {}
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    ~Undo() {
        if (done) return;
        std::error_code ignored;
        fs::remove(out_ / "memory.h5.partial", ignored);
        if (publishing) fs::remove(out_ / "memory.h5", ignored);
        if (sums) fs::remove(out_ / disk_sums_file, ignored);
        if (snapshot) warn(remove_disk(out_ / "disk"));
    }
    bool snapshot = false;
    bool sums = false;
    bool publishing = false;
    bool done = false;

  private:
    fs::path out_;
};

} // namespace

Result<Levels> Levels::create(const fs::path& root, const fs::path& node, bool chains) {
    TLC_TRY_ASSIGN(job, JobDirectory::create(root, "cluster", "4711"));
    if (node.empty()) return Levels{job, job, chains};
    TLC_TRY_ASSIGN(store, JobDirectory::create(node, "cluster", "4711"));
    return Levels{store, job, chains};
}

Result<JobRun> JobRun::begin(Levels levels, uint64_t first_step, Note note) {
    JobRun run(std::move(levels), first_step, std::move(note));
    TLC_TRY_ASSIGN(epoch, run.levels_.job.claim_epoch());
    run.epoch_ = epoch;
    run.sweep();
    const auto live = run.levels_.store.live_directory(epoch);
    if (run.levels_.chains) {
        run.chain_disk_ = std::make_unique<ChainDisk>();
        TLC_TRY(run.chain_disk_->create_live(live));
    } else {
        warn(write_disk(live, first_step));
    }
    return run;
}

// What a former life was carrying is carried anew if it is still the newest.
void JobRun::sweep() {
    if (auto swept = sweep_levels(); !swept) return warn(swept);
    if (!levels_.two()) return;
    const auto own = levels_.store.newest();
    const auto carried = levels_.job.newest();
    if (!own || (carried && carried->sequence >= own->sequence)) return;
    if (!levels_.job.claim_checkpoint_as(own->sequence)) return;
    warn(carry(own->sequence, own->manifest->job.value("step", uint64_t{0})));
}

Status JobRun::sweep_levels() {
    TLC_TRY(levels_.store.sweep(epoch_, remove_disk));
    note_found(levels_.store, "found");
    if (!levels_.two()) return {};
    TLC_TRY(levels_.job.sweep(epoch_, remove_disk));
    note_found(levels_.job, "found-carried");
    return {};
}

void JobRun::note_found(const JobDirectory& level, const char* word) {
    const auto list = level.list();
    if (!list) return;
    for (const auto& found : *list)
        if (found.whole())
            note_(fmt::format("{}\t{}\t{}", word, found.sequence,
                              found.manifest->job.value("step", uint64_t{0})));
}

void JobRun::restart_engine() {
    base_.reset();
    summed_disk_.reset();
}

Status JobRun::write_image(const fs::path& out, Manifest& manifest) {
    const fs::path partial = out / "memory.h5.partial";
    ChainLinks links;
    std::optional<ImageWriter> image;
    Undo undo(out);
    auto base = std::exchange(base_, std::nullopt);
    if (base) {
        if (auto made = ChainLinks::make(*base, last_out_, out))
            links = std::move(*made);
        else
            base.reset();
    }
    ImageInfo info = sample_info();
    info.identity = identity_at(step_);
    info.parent_identity = base ? base->identity : "";
    const bool full = !base;
    std::error_code ignored;
    fs::remove(partial, ignored);
    TLC_TRY_ASSIGN(created, ImageWriter::create_in_chain(
                                partial, info, {{"ram", memory_pages * image_page_size}}, std::move(base),
                                full ? Compression::never : Compression::always));
    image.emplace(std::move(created));
    TLC_TRY(freeze_disk(out));
    undo.snapshot = true;
    TLC_TRY(image->set_device_state(device_state_at(step_)));
    auto& lane = image->lane();
    for (uint64_t page = 0; page < memory_pages; ++page)
        if (full || version_of(page, step_) == step_ || page % 40 == 0)
            TLC_TRY(lane.add(0, page, page_at(page, step_)));
    TLC_TRY_ASSIGN(summary, image->finish({}));
    links.drop_all_but(summary.older);
    TLC_TRY(settle_disk(out, manifest));
    SummedDisk summed{out / "disk", {}};
    undo.sums = true;
    TLC_TRY(sum_disk_part(out, manifest, summed));
    undo.publishing = true;
    TLC_TRY(publish_rename(partial, out / "memory.h5"));
    undo.done = true;
    links.keep();
    manifest.memory = {"memory.h5", summary.file_bytes, summary.digest, info.identity, {}};
    for (const auto& file : summary.older)
        manifest.memory.older[older_file_name(file.identity)] = 0;
    summed_disk_ = std::move(summed);
    base_ = image->take_base();
    last_out_ = out;
    return {};
}

Status JobRun::freeze_disk(const fs::path& out) {
    return chain_disk_ ? chain_disk_->freeze(out / "disk", step_) : write_disk(out / "disk", step_);
}

// In place of Disk::settle.
Status JobRun::settle_disk(const fs::path& out, Manifest& manifest) {
    Manifest::Disk disk{chain_disk_ ? "qcow2" : "plain", "disk", {}, {}, {}};
    if (chain_disk_) {
        TLC_TRY(chain_disk_->settle(out / "disk"));
        TLC_TRY_ASSIGN(names, file_names(out / "disk"));
        for (const auto& name : names) {
            TLC_TRY_ASSIGN(size, size_of(out / "disk" / name));
            disk.files[name] = size;
        }
        manifest.disk = std::move(disk);
        return {};
    }
    for (const auto& [name, text] : disk_at(step_)) {
        TLC_TRY(sync_path(out / "disk" / name));
        disk.files[name] = text.size();
    }
    manifest.disk = std::move(disk);
    return sync_path(out / "disk");
}

Status JobRun::sum_disk_part(const fs::path& out, Manifest& manifest, SummedDisk& summed) {
    TLC_TRY_ASSIGN(sums, sum_disk(summed.snapshot, summed_disk_ ? &*summed_disk_ : nullptr));
    const std::string text = disk_sums_text(sums);
    summed.sums = std::move(sums);
    manifest.disk->sums = checksum(std::as_bytes(std::span(text))).text();
    return publish_text(out / disk_sums_file, text);
}

Status JobRun::save(const fs::path& out, Manifest& manifest) {
    TLC_TRY(write_image(out, manifest));
    for (auto& [name, size] : manifest.memory.older) {
        TLC_TRY_ASSIGN(found, size_of(out / name));
        size = found;
    }
    if (levels_.two()) TLC_TRY(levels_.job.fence(manifest.epoch));
    return levels_.store.publish(manifest);
}

// One number in both directories.
Result<ClaimedCheckpoint> JobRun::claim() {
    if (!levels_.two()) return levels_.job.claim_checkpoint();
    TLC_TRY_ASSIGN(there, levels_.store.newest_sequence());
    TLC_TRY_ASSIGN(claimed, levels_.job.claim_checkpoint(there + 1));
    return levels_.store.claim_checkpoint_as(claimed.sequence);
}

Status JobRun::take() {
    taken_.reset();
    TLC_TRY_ASSIGN(claimed, claim());
    Manifest manifest;
    manifest.sequence = claimed.sequence;
    manifest.epoch = epoch_;
    manifest.created = "2026-01-31T12:00:00Z";
    manifest.cluster = "cluster";
    manifest.job_id = "4711";
    manifest.job = {{"step", step_}};
    const auto taken = save(claimed.directory, manifest);
    if (taken) note_(fmt::format("published\t{}\t{}", claimed.sequence, step_));
    ++step_;
    if (taken) {
        taken_ = claimed.sequence;
        if (chain_disk_) warn(chain_disk_->merge());
        return {};
    }
    restart_engine();
    const auto removed = levels_.store.remove(claimed.sequence, remove_disk);
    warn(removed);
    if (removed && levels_.two()) give_up_carrying(claimed.sequence);
    return taken;
}

// As `tlc-engine carry` and Supervisor::follow_carrier.
Status JobRun::carry(uint64_t sequence, uint64_t step) {
    CarryRequest request;
    request.from = levels_.store.checkpoint_directory(sequence);
    request.to = levels_.job.checkpoint_directory(sequence);
    request.epoch = epoch_;
    if (const auto base = levels_.job.newest()) request.base = base->directory;
    if (const auto carried = carry_checkpoint(request); !carried) {
        give_up_carrying(sequence);
        return tl::unexpected<Error>(carried.error());
    }
    note_(fmt::format("carried\t{}\t{}", sequence, step));
    return {};
}

Status JobRun::carry_taken(size_t keep) {
    if (!levels_.two() || !taken_) return {};
    TLC_TRY(carry(*std::exchange(taken_, std::nullopt), step_ - 1));
    note_(fmt::format("prune-carried\t{}", keep));
    if (const auto pruned = levels_.job.prune(keep, remove_disk); !pruned)
        warn(tl::unexpected<Error>(pruned.error()));
    return {};
}

void JobRun::do_not_carry_taken() {
    if (levels_.two() && taken_) give_up_carrying(*std::exchange(taken_, std::nullopt));
}

void JobRun::give_up_carrying(uint64_t sequence) { warn(levels_.job.remove(sequence, remove_disk)); }

void JobRun::prune(size_t keep) {
    note_(fmt::format("prune\t{}", keep));
    if (const auto pruned = levels_.store.prune(keep, remove_disk); !pruned)
        warn(tl::unexpected<Error>(pruned.error()));
}

} // namespace tlc::test
