// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_run.hpp"

#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
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
        if (snapshot) warn(remove_disk(out_ / "disk"));
    }
    bool snapshot = false;
    bool publishing = false;
    bool done = false;

  private:
    fs::path out_;
};

} // namespace

Result<JobRun> JobRun::begin(JobDirectory job, uint64_t first_step, Note note) {
    JobRun run(std::move(job), first_step, std::move(note));
    TLC_TRY_ASSIGN(epoch, run.job_.claim_epoch());
    run.epoch_ = epoch;
    if (auto swept = run.job_.sweep(epoch, remove_disk); !swept) {
        warn(swept);
    } else if (const auto list = run.job_.list()) {
        for (const auto& found : *list)
            if (found.whole())
                run.note_(fmt::format("found\t{}\t{}", found.sequence,
                                      found.manifest->job.value("step", uint64_t{0})));
    }
    warn(write_disk(run.job_.live_directory(epoch), first_step));
    return run;
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
    TLC_TRY(write_disk(out / "disk", step_));
    undo.snapshot = true;
    TLC_TRY(image->set_device_state(device_state_at(step_)));
    auto& lane = image->lane();
    for (uint64_t page = 0; page < memory_pages; ++page)
        if (full || version_of(page, step_) == step_ || page % 40 == 0)
            TLC_TRY(lane.add(0, page, page_at(page, step_)));
    TLC_TRY_ASSIGN(summary, image->finish({}));
    links.drop_all_but(summary.older);
    TLC_TRY(settle_disk(out, manifest));
    undo.publishing = true;
    TLC_TRY(publish_rename(partial, out / "memory.h5"));
    undo.done = true;
    links.keep();
    manifest.memory = {"memory.h5", summary.file_bytes, summary.digest, info.identity, {}};
    for (const auto& file : summary.older)
        manifest.memory.older[older_file_name(file.identity)] = 0;
    base_ = image->take_base();
    last_out_ = out;
    return {};
}

// In place of Disk::settle.
Status JobRun::settle_disk(const fs::path& out, Manifest& manifest) {
    Manifest::Disk disk{"plain", "disk", {}, {}, {}};
    for (const auto& [name, text] : disk_at(step_)) {
        TLC_TRY(sync_path(out / "disk" / name));
        disk.files[name] = text.size();
    }
    manifest.disk = std::move(disk);
    return sync_path(out / "disk");
}

Status JobRun::save(const fs::path& out, Manifest& manifest) {
    TLC_TRY(write_image(out, manifest));
    for (auto& [name, size] : manifest.memory.older) {
        TLC_TRY_ASSIGN(found, size_of(out / name));
        size = found;
    }
    return job_.publish(manifest);
}

Status JobRun::take() {
    TLC_TRY_ASSIGN(claimed, job_.claim_checkpoint());
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
    if (taken) return {};
    base_.reset();
    warn(job_.remove(claimed.sequence, remove_disk));
    return taken;
}

void JobRun::prune(size_t keep) {
    note_(fmt::format("prune\t{}", keep));
    if (const auto pruned = job_.prune(keep, remove_disk); !pruned)
        warn(tl::unexpected<Error>(pruned.error()));
}

} // namespace tlc::test
