// SPDX-License-Identifier: GPL-2.0-or-later
// From one checkpoint to the next: the session, the capture, and what an image may build on.
#include <tlc/base/log.hpp>
#include <tlc/checkpoint/save_run.hpp>
#include <tlc/checkpoint/saver_state.hpp>

namespace tlc {

namespace {
constexpr unsigned compressing_threads = 2;
// A longer chain makes a restore open more files; a chain that has grown beyond its full image mostly holds
// pages that nobody needs any more.
constexpr size_t longest_chain = 16;
} // namespace

Status Saver::State::open() {
    if (capture && !capture->failed()) return {};
    close();
    CaptureChoice choice = options.capture;
    if (choice.kind != CaptureKind::automatic) return open(choice, nullptr);
    if (!fallback.empty()) {
        choice.kind = CaptureKind::log;
        return open(choice, nullptr);
    }
    bool refused = false;
    choice.kind = CaptureKind::cow;
    auto begun = open(choice, &refused);
    if (begun || !refused) return begun;
    fallback = begun.error().message;
    log::warning("copy on write is not possible, memory is captured by dirty log instead, which slows "
                 "the VM more: {}",
                 fallback);
    close();
    choice.kind = CaptureKind::log;
    return open(choice, nullptr);
}

Status Saver::State::open(const CaptureChoice& choice, bool* refused) {
    kind = choice;
    TLC_TRY_ASSIGN(opened, open_session(options.qmp_socket, ChannelMode::save, options.userfaultfd_device));
    session.emplace(std::move(opened));
    VmCaptureOptions settings;
    settings.choice = choice;
    settings.watch = options.watch;
    settings.compressing_threads = compressing_threads;
    settings.buffer_bytes = options.buffer_bytes;
    settings.buffer = buffer.get();
    settings.skip_known = options.skip_known;
    settings.replace_older = options.replace_older;
    TLC_TRY_ASSIGN(begun, VmCapture::begin(*session, settings, refused));
    capture = std::move(begun);
    return {};
}

Status Saver::State::make_buffer() {
    if (buffer || options.capture.kind == CaptureKind::log) return {};
    TLC_TRY_ASSIGN(made, CaptureBuffer::create(options.buffer_bytes));
    buffer = std::move(made);
    return {};
}

// QEMU resumes a paused VM as soon as the channel is down, and does not wait for our threads.
void Saver::State::close() {
    if (capture) capture->cancel({ErrorKind::failed, "the checkpoint was given up"});
    if (session) session->channel.hang_up();
    capture.reset();
    session.reset();
    base.reset();
}

bool Saver::State::goes_on() const {
    return base && base->older.size() < longest_chain && further_bytes <= full_bytes;
}

Saver::Saver(SaverOptions options) : state_(std::make_unique<State>()) {
    state_->options = std::move(options);
}
Saver::~Saver() = default;

Status Saver::prepare() { return state_->make_buffer(); }

Result<SaveReport> Saver::save(const SaveRequest& request) { return SaveRun(*state_, request).run(); }

} // namespace tlc
