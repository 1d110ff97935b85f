// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/units.hpp>
#include <tlc/checkpoint/progress.hpp>
#include <tlc/checkpoint/save.hpp>
#include <tlc/checkpoint/session.hpp>
#include <tlc/checkpoint/vm_capture.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/image/writer.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <unistd.h>

namespace tlc {
namespace {

using Clock = std::chrono::steady_clock;

// QEMU answers from its main loop; a flush of the guest's disks may lie in the pause.
constexpr auto pause_limit = std::chrono::seconds(15);
constexpr unsigned worker_threads = 2;

class LaneSink final : public PageSink {
  public:
    explicit LaneSink(ImageLane& lane) : lane_(lane) {}
    Status pages(uint32_t block, uint64_t first_page, std::span<const std::byte> data) override {
        return lane_.add(block, first_page, data);
    }

  private:
    ImageLane& lane_;
};

Result<std::string> new_identity() {
    TLC_TRY_ASSIGN(text, read_text("/proc/sys/kernel/random/uuid"));
    return text.substr(0, text.find('\n'));
}

Result<std::vector<std::byte>> read_device_state(const Fd& memfd, uint64_t length) {
    std::vector<std::byte> bytes(length);
    TLC_TRY(read_at(memfd.get(), bytes, 0));
    return bytes;
}

// The steps of one save, and what has to be undone when one fails.
class Save {
  public:
    explicit Save(const SaveRequest& request)
        : request_(request), partial_(request.out / "memory.h5.partial") {}
    Save(const Save&) = delete;
    Save& operator=(const Save&) = delete;
    ~Save() {
        if (published_) return;
        std::error_code ignored;
        // Only what this save has put there: a checkpoint found in the directory is somebody's.
        if (publishing_) std::filesystem::remove(request_.out / "memory.h5", ignored);
        if (snapshot_taken_)
            if (auto removed = disk_->remove(snapshot()); !removed)
                log::warning("{}", removed.error().message);
    }

    Result<SaveReport> run() {
        began_ = Clock::now();
        TLC_TRY(prepare());
        TLC_TRY(pause_and_resume());
        return collect();
    }

  private:
    std::filesystem::path snapshot() const { return request_.out / "disk"; }

    // Everything slow, while the VM runs.
    Status prepare() {
        std::error_code error;
        if (!std::filesystem::is_directory(request_.out, error))
            return fail(ErrorKind::usage, "{} is not a directory", request_.out.string());
        if (std::filesystem::exists(request_.out / "memory.h5", error))
            return fail(ErrorKind::usage, "{} holds a checkpoint already", request_.out.string());
        if (!request_.live.empty()) {
            TLC_TRY_ASSIGN(disk, open_disk(request_.live));
            disk_ = std::move(disk);
        }
        report_.created = utc_text(std::chrono::system_clock::now());
        TLC_TRY_ASSIGN(identity, new_identity());
        report_.identity = identity;
        // Most of what is dirty goes out now, so that little is left for the pause.
        if (disk_) TLC_TRY(disk_->sync(request_.live));
        TLC_TRY(begin_capture());
        const Progress progress("checkpoint", capture_->bytes_total(),
                                [this] { return capture_->bytes_done(); });
        return capture_->before_pause();
    }

    Status begin_capture() {
        CaptureChoice choice = request_.capture;
        if (choice.kind != CaptureKind::automatic) return begin_capture(choice, nullptr);
        bool refused = false;
        choice.kind = CaptureKind::cow;
        auto begun = begin_capture(choice, &refused);
        if (begun || !refused) return begun;
        report_.fallback = begun.error().message;
        log::warning("copy on write is not possible, memory is captured by dirty log instead, which slows "
                     "the VM more: {}",
                     report_.fallback);
        choice.kind = CaptureKind::log;
        return begin_capture(choice, nullptr);
    }

    Status begin_capture(const CaptureChoice& choice, bool* refused) {
        capture_.reset();
        sinks_.clear();
        image_.reset();
        session_.reset();
        TLC_TRY_ASSIGN(session,
                       open_session(request_.qmp_socket, ChannelMode::save, request_.userfaultfd_device));
        session_.emplace(std::move(session));
        report_.machine = session_->machine.machine;
        report_.qemu_version = session_->machine.qemu_version;
        report_.capture = choice.text();
        TLC_TRY(open_image());
        const size_t count = VmCapture::sinks_for(choice.kind, worker_threads);
        sinks_.reserve(count);
        std::vector<PageSink*> sinks;
        for (size_t n = 0; n < count; ++n)
            sinks.push_back(&sinks_.emplace_back(image_->lane()));
        const VmCaptureOptions options{choice, request_.buffer_bytes, request_.skip_known,
                                       request_.replace_older};
        TLC_TRY_ASSIGN(capture, VmCapture::begin(*session_, options, std::move(sinks), refused));
        capture_ = std::move(capture);
        return {};
    }

    Status open_image() {
        std::vector<ImageBlock> blocks;
        report_.ram_bytes = 0;
        for (const auto& block : session_->machine.blocks) {
            blocks.push_back({block.id, block.used_length, block.page_size});
            report_.ram_bytes += block.used_length;
        }
        ImageInfo info;
        info.identity = report_.identity;
        info.machine = report_.machine;
        info.qemu_version = report_.qemu_version;
        info.capture_kind = report_.capture;
        info.created = report_.created;
        std::error_code ignored;
        std::filesystem::remove(partial_, ignored);
        TLC_TRY_ASSIGN(image, ImageWriter::create(partial_, info, std::move(blocks)));
        image_.emplace(std::move(image));
        return {};
    }

    // The VM stands still in here. An early return drops the channel, and QEMU resumes the VM.
    Status pause_and_resume() {
        Channel& channel = session_->channel;
        TLC_TRY(channel.send(Pause{}, pause_limit));
        TLC_TRY_ASSIGN(paused, channel.expect<Paused>(pause_limit));
        TLC_TRY(capture_->in_pause());
        if (disk_) {
            TLC_TRY(disk_->snapshot(request_.live, snapshot()));
            snapshot_taken_ = true;
        }
        TLC_TRY(channel.send(Resume{}, pause_limit));
        TLC_TRY_ASSIGN(resumed, channel.expect<Resumed>(pause_limit));
        report_.pause_ms =
            static_cast<double>(resumed.message.resumed_ns - paused.message.pause_began_ns) / 1e6;
        TLC_TRY_ASSIGN(devices, read_device_state(paused.descriptors[0], paused.message.device_state_length));
        return image_->set_device_state(devices);
    }

    // The VM runs; its memory as it was at the pause comes in.
    Result<SaveReport> collect() {
        {
            const Progress progress("checkpoint", capture_->bytes_total(),
                                    [this] { return capture_->bytes_done(); });
            TLC_TRY_ASSIGN(counters, capture_->wait());
            report_.faults = counters.faults;
            report_.buffer_peak_bytes = counters.buffer_peak_bytes;
            report_.exposed_bytes = counters.exposed_bytes;
            report_.working_set_pages = counters.working_set_pages;
            report_.table_pages = counters.table_pages;
            report_.skipped_opt1 = counters.skipped_opt1;
            report_.skipped_opt2 = counters.skipped_opt2;
            report_.hold_ms = static_cast<double>(capture_->longest_hold_ns()) / 1e6;
        }
        // Nothing is missing any more: QEMU may take the next request.
        capture_.reset();
        session_.reset();
        ImageCounters counters;
        counters.pause_ns = static_cast<uint64_t>(report_.pause_ms * 1e6);
        counters.latency_ns = static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - began_).count());
        counters.further = {{"faults", report_.faults}, {"buffer_peak_bytes", report_.buffer_peak_bytes}};
        TLC_TRY_ASSIGN(summary, image_->finish(counters));
        if (disk_) TLC_TRY(disk_->settle(snapshot()));
        publishing_ = true;
        TLC_TRY(publish_rename(partial_, request_.out / "memory.h5"));
        report_.digest = summary.digest;
        report_.stored_bytes = summary.stored_bytes;
        report_.file_bytes = summary.file_bytes;
        report_.pages_saved = summary.pages_stored;
        report_.pages_zero = summary.pages_zero;
        report_.latency_ms = std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
        published_ = true;
        return report_;
    }

    const SaveRequest& request_;
    const std::filesystem::path partial_;
    Clock::time_point began_;
    SaveReport report_;
    std::unique_ptr<Disk> disk_;
    bool snapshot_taken_ = false;
    bool publishing_ = false;
    bool published_ = false;
    // In the order of use: the capture ends before its sinks, its channel and the image.
    std::optional<ImageWriter> image_;
    std::optional<EngineSession> session_;
    std::vector<LaneSink> sinks_;
    std::unique_ptr<VmCapture> capture_;
};

} // namespace

Result<SaveReport> save_checkpoint(const SaveRequest& request) { return Save(request).run(); }

} // namespace tlc
