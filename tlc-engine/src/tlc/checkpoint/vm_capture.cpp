// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/vm_capture.hpp>

#include <algorithm>
#include <thread>

namespace tlc {

namespace {

constexpr auto answer_limit = std::chrono::seconds(15);
// UFFD_FEATURE_WP_UNPOPULATED, newer than the headers of older distributions.
constexpr uint64_t wp_unpopulated = uint64_t{1} << 13;
constexpr unsigned most_threads = 4;

std::vector<GuestBlock> blocks_of(const MachineDescription& machine) {
    std::vector<GuestBlock> blocks;
    for (const RamBlock& b : machine.blocks)
        blocks.push_back({b.id, b.host_address, b.used_length, b.page_size, b.protectable, b.missing_faults});
    return blocks;
}

// Half of the processors at most, besides those that compress.
unsigned threads_of_a_kind() { return std::clamp(std::thread::hardware_concurrency() / 4, 1U, most_threads); }

} // namespace

Result<std::unique_ptr<VmCapture>> VmCapture::begin(EngineSession& session, const VmCaptureOptions& options,
                                                    bool* refused) {
    TLC_TRY_ASSIGN(memory, GuestMemory::open(session.channel.peer_pid(), blocks_of(session.machine)));
    std::unique_ptr<VmCapture> capture(new VmCapture);
    const auto step = options.choice.kind == CaptureKind::cow ? &VmCapture::begin_cow : &VmCapture::begin_log;
    TLC_TRY(((*capture).*step)(session, std::move(memory), options, refused));
    return capture;
}

Status VmCapture::begin_cow(EngineSession& session, GuestMemory memory, const VmCaptureOptions& options,
                            bool* refused) {
    CaptureOptions settings;
    settings.watch = options.watch;
    settings.buffer_bytes = options.buffer_bytes;
    settings.buffer = options.buffer;
    settings.fault_threads = threads_of_a_kind();
    settings.sweep_threads = threads_of_a_kind();
    settings.workers = options.compressing_threads;
    settings.peer_fd = session.channel.fd();
    TLC_TRY_ASSIGN(capture, CowCapture::prepare(std::move(memory), settings));
    TLC_TRY(session.channel.send(Arm{}, answer_limit));
    auto armed = session.channel.expect<Armed>(answer_limit);
    if (!armed) {
        if (refused != nullptr) *refused = true;
        return tl::unexpected<Error>(std::move(armed).error());
    }
    TLC_TRY(
        capture->arm(std::move(armed->descriptors[0]), (armed->message.uffd_features & wp_unpopulated) != 0));
    cow_ = std::move(capture);
    sinks_ = settings.workers;
    watches_ = options.watch;
    return {};
}

Status VmCapture::begin_log(EngineSession& session, GuestMemory memory, const VmCaptureOptions& options,
                            bool* refused) {
    TLC_TRY(session.channel.send(Track{}, answer_limit));
    auto tracked = session.channel.expect<Tracked>(answer_limit);
    if (!tracked) {
        if (refused != nullptr) *refused = true;
        return tl::unexpected<Error>(std::move(tracked).error());
    }
    TLC_TRY_ASSIGN(bitmap, DirtyBitmap::map(tracked->descriptors[0], memory.blocks()));
    LogOptions settings;
    settings.variant = options.choice.variant;
    settings.interval = options.choice.interval;
    settings.buffer_bytes = options.buffer_bytes;
    settings.skip_known = options.skip_known;
    settings.replace_older = options.replace_older;
    settings.pass_threads = options.compressing_threads;
    log_.emplace(session.channel, answer_limit);
    TLC_TRY_ASSIGN(capture, LogCapture::prepare(std::move(memory), std::move(bitmap), *log_, settings));
    by_log_ = std::move(capture);
    sinks_ = settings.pass_threads + 1;
    return {};
}

Status VmCapture::before_pause(std::vector<PageSink*> sinks, bool everything) {
    if (by_log_) return by_log_->before_pause(std::move(sinks));
    return cow_->begin(std::move(sinks), everything);
}

} // namespace tlc
