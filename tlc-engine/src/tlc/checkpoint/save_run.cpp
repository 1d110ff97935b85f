// SPDX-License-Identifier: GPL-2.0-or-later
// The steps of one checkpoint.
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/checkpoint/progress.hpp>
#include <tlc/checkpoint/save_run.hpp>
#include <tlc/disk/disk.hpp>

namespace tlc {
namespace {

// QEMU answers from its main loop; a flush of the guest's disks may lie in the pause.
constexpr auto pause_limit = std::chrono::seconds(15);

Result<std::string> new_identity() {
    TLC_TRY_ASSIGN(text, read_text("/proc/sys/kernel/random/uuid"));
    return text.substr(0, text.find('\n'));
}

Result<std::vector<std::byte>> read_device_state(const Fd& memfd, uint64_t length) {
    std::vector<std::byte> bytes(length);
    TLC_TRY(read_at(memfd.get(), bytes, 0));
    return bytes;
}

} // namespace

SaveRun::SaveRun(Saver::State& saver, const SaveRequest& request)
    : saver_(saver), request_(request), partial_(request.out / "memory.h5.partial"),
      devices_(saver.options.qmp_socket) {}

SaveRun::~SaveRun() {
    if (durable_) return;
    saver_.close(); // it must not use the sinks any more
    std::error_code ignored;
    // Only what this save has put there: a checkpoint found in the directory is somebody's.
    if (image_) std::filesystem::remove(partial_, ignored);
    if (naming_) std::filesystem::remove(request_.out / "memory.h5", ignored);
    if (disk_sums_) std::filesystem::remove(request_.out / disk_sums_file, ignored);
    if (snapshot_begun_)
        if (auto removed = disk_->remove(snapshot()); !removed) log::warning("{}", removed.error().message);
}

Result<SaveReport> SaveRun::run() {
    began_ = Clock::now();
    TLC_TRY(prepare());
    TLC_TRY(pause_and_resume());
    TLC_TRY(collect());
    TLC_TRY(make_durable());
    return report_;
}

// Everything slow, while the VM runs.
Status SaveRun::prepare() {
    std::error_code error;
    if (!std::filesystem::is_directory(request_.out, error))
        return fail(ErrorKind::usage, "{} is not a directory", request_.out.string());
    if (std::filesystem::exists(request_.out / "memory.h5", error))
        return fail(ErrorKind::usage, "{} holds a checkpoint already", request_.out.string());
    if (!request_.live.empty()) {
        TLC_TRY_ASSIGN(disk, open_disk(request_.live, request_.disk));
        disk_ = std::move(disk);
    }
    report_.created = utc_text(std::chrono::system_clock::now());
    TLC_TRY_ASSIGN(identity, new_identity());
    report_.identity = identity;
    TLC_TRY(saver_.open());
    if (disk_) {
        TLC_TRY(disk_->prepare(request_.live, snapshot(), devices_));
        snapshot_begun_ = true;
    }
    TLC_TRY(open_image());
    std::vector<PageSink*> sinks;
    sinks_.reserve(saver_.capture->sinks());
    for (size_t n = 0; n < saver_.capture->sinks(); ++n)
        sinks.push_back(&sinks_.emplace_back(image_->lane()));
    const Progress progress("checkpoint", saver_.capture->bytes_total(),
                            [this] { return saver_.capture->bytes_done(); });
    return saver_.capture->before_pause(std::move(sinks), report_.parent.empty());
}

Status SaveRun::open_image() {
    const MachineDescription& machine = saver_.session->machine;
    report_.machine = machine.machine;
    report_.qemu_version = machine.qemu_version;
    report_.capture = saver_.kind.text();
    report_.fallback = saver_.fallback;
    std::optional<ImageBase> base;
    if (saver_.goes_on()) {
        if (auto links = ChainLinks::make(*saver_.base, saver_.last_out, request_.out)) {
            links_ = std::move(*links);
            report_.parent = saver_.base->identity;
            base = std::move(saver_.base);
        } else {
            log::warning("a full image is taken, {}", links.error().message);
        }
    }
    saver_.base.reset();
    std::vector<ImageBlock> blocks;
    for (const auto& block : machine.blocks) {
        blocks.push_back({block.id, block.used_length, block.page_size});
        report_.ram_bytes += block.used_length;
    }
    ImageInfo info;
    info.identity = report_.identity;
    info.parent_identity = report_.parent;
    info.machine = report_.machine;
    info.qemu_version = report_.qemu_version;
    info.capture_kind = report_.capture;
    info.created = report_.created;
    std::error_code ignored;
    std::filesystem::remove(partial_, ignored);
    const Compression compression = saver_.options.compression;
    auto image =
        saver_.capture->watches()
            ? ImageWriter::create_in_chain(partial_, info, std::move(blocks), std::move(base), compression)
            : ImageWriter::create(partial_, info, std::move(blocks), compression);
    if (!image) return tl::unexpected(std::move(image).error());
    image_.emplace(std::move(*image));
    return {};
}

// The VM stands still in here. An early return ends the session, and QEMU resumes the VM.
Status SaveRun::pause_and_resume() {
    Channel& channel = saver_.session->channel;
    TLC_TRY(channel.send(Pause{}, pause_limit));
    TLC_TRY_ASSIGN(paused, channel.expect<Paused>(pause_limit));
    TLC_TRY(saver_.capture->in_pause());
    if (disk_) TLC_TRY(disk_->snapshot(request_.live, snapshot(), devices_));
    TLC_TRY(channel.send(Resume{}, pause_limit));
    TLC_TRY_ASSIGN(resumed, channel.expect<Resumed>(pause_limit));
    report_.pause_ms = static_cast<double>(resumed.message.resumed_ns - paused.message.pause_began_ns) / 1e6;
    TLC_TRY_ASSIGN(devices, read_device_state(paused.descriptors[0], paused.message.device_state_length));
    return image_->set_device_state(devices);
}

// The VM runs; its memory as it was at the pause comes in.
Status SaveRun::collect() {
    CaptureCounters counters;
    {
        const Progress progress("checkpoint", saver_.capture->bytes_total(),
                                [this] { return saver_.capture->bytes_done(); });
        TLC_TRY_ASSIGN(counted, saver_.capture->wait());
        counters = counted;
    }
    report_.pages_copied = counters.pages_saved;
    report_.faults = counters.faults;
    report_.buffer_peak_bytes = counters.buffer_peak_bytes;
    report_.exposed_bytes = counters.exposed_bytes;
    report_.working_set_pages = counters.working_set_pages;
    report_.table_pages = counters.table_pages;
    report_.skipped_opt1 = counters.skipped_opt1;
    report_.skipped_opt2 = counters.skipped_opt2;
    report_.hold_ms = static_cast<double>(saver_.capture->longest_hold_ns()) / 1e6;
    // Nothing is missing any more: unless the VM is watched further, QEMU may take the next request.
    if (!saver_.capture->watches()) saver_.close();
    return {};
}

Status SaveRun::sum_disk_part() {
    TLC_TRY_ASSIGN(sums, sum_disk(snapshot(), saver_.summed_disk ? &*saver_.summed_disk : nullptr));
    const std::string text = disk_sums_text(sums);
    disk_sums_ = std::move(sums);
    report_.disk_sums = checksum(std::as_bytes(std::span(text))).text();
    return publish_text(request_.out / disk_sums_file, text);
}

Status SaveRun::make_durable() {
    ImageCounters counters;
    counters.pause_ns = static_cast<uint64_t>(report_.pause_ms * 1e6);
    counters.latency_ns = static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - began_).count());
    counters.further = {{"faults", report_.faults}, {"buffer_peak_bytes", report_.buffer_peak_bytes}};
    TLC_TRY_ASSIGN(summary, image_->finish(counters));
    links_.drop_all_but(summary.older);
    if (disk_) {
        TLC_TRY(disk_->settle(snapshot()));
        TLC_TRY(sum_disk_part());
    }
    naming_ = true;
    // The directory is synced with it, and so are the links.
    TLC_TRY(publish_rename(partial_, request_.out / "memory.h5"));
    durable_ = true;
    links_.keep();
    report_.older = summary.older;
    report_.digest = summary.digest;
    report_.stored_bytes = summary.stored_bytes;
    report_.file_bytes = summary.file_bytes;
    report_.pages_saved = summary.pages_stored;
    report_.pages_older = summary.pages_older;
    report_.pages_zero = summary.pages_zero;
    if (disk_sums_) saver_.summed_disk = SummedDisk{snapshot(), std::move(*disk_sums_)};
    if (saver_.capture) {
        saver_.base = image_->take_base();
        saver_.last_out = request_.out;
        saver_.further_bytes = report_.parent.empty() ? 0 : saver_.further_bytes + summary.stored_bytes;
        if (report_.parent.empty()) saver_.full_bytes = summary.stored_bytes;
    }
    report_.goes_on = saver_.goes_on();
    report_.latency_ms = std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
    return {};
}

} // namespace tlc
