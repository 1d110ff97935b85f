// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/file_output.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace tlc {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t window_bytes = size_t{1} << 20;
// A disk that takes longer for a window is not waited for.
constexpr auto patience = std::chrono::milliseconds(3);
constexpr uint64_t write_back_step = uint64_t{8} << 20;
constexpr size_t late_most = size_t{4} << 20;
constexpr uint64_t far_behind = 3 * write_back_step;

// Returns 0 or an errno.
int put(int fd, std::span<const std::byte> data, uint64_t offset) {
    while (!data.empty()) {
        const ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : ENOSPC;
        data = data.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return 0;
}

} // namespace

Result<std::unique_ptr<FileOutput>> FileOutput::create(int fd) {
    void* memory = ::mmap(nullptr, window_count * window_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail_errno(errno, "cannot allocate a buffer for writing");
    const auto name = fmt::format("/proc/self/fd/{}", fd);
    Fd direct(::open(name.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
    Fd background(::open(name.c_str(), O_WRONLY | O_CLOEXEC));
    return std::unique_ptr<FileOutput>(
        new FileOutput(fd, std::move(direct), std::move(background), static_cast<std::byte*>(memory)));
}

FileOutput::FileOutput(int fd, Fd direct, Fd background, std::byte* memory)
    : fd_(fd), direct_(std::move(direct)), background_(std::move(background)), memory_(memory),
      direct_works_(static_cast<bool>(direct_)) {
    for (size_t i = 0; i < window_count; ++i) {
        windows_[i].data = memory + i * window_bytes;
        if (i != current_) free_.push_back(i);
    }
    thread_ = std::thread([this] { run(); });
}

FileOutput::~FileOutput() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
    ::munmap(memory_, window_count * window_bytes);
}

Status FileOutput::state() {
    const std::lock_guard lock(mutex_);
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
}

// 0 is no error.
Status FileOutput::check(int error_number) {
    if (error_number == 0) return {};
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = fail_errno(error_number, "write").value();
    return tl::unexpected<Error>(*error_);
}

double FileOutput::disk_ns_per_byte() const {
    return refused_ || in_cache_ >= far_behind ? ns_per_byte_.load() : 0;
}

Status FileOutput::write(uint64_t offset, std::span<const std::byte> data) {
    if (discarding_) return {};
    TLC_TRY(state());
    // What lies before the current window is in the file, or on its way there.
    if (const uint64_t start = windows_[current_].start; offset < start) {
        const auto part = data.first(std::min<uint64_t>(data.size(), start - offset));
        TLC_TRY(write_before(offset, part));
        offset += part.size();
        data = data.subspan(part.size());
        if (data.empty()) return {};
    }
    // What lies in it may be written again.
    if (offset < end_) {
        const auto part = data.first(std::min<uint64_t>(data.size(), end_ - offset));
        std::memcpy(windows_[current_].data + (offset - windows_[current_].start), part.data(), part.size());
        offset += part.size();
        data = data.subspan(part.size());
        if (data.empty()) return {};
    }
    // Nothing was ever written beyond the end: a gap is zeros until somebody writes there.
    static constexpr std::array<std::byte, 4096> zeros{};
    while (end_ < offset)
        TLC_TRY(append(std::span(zeros).first(std::min<uint64_t>(zeros.size(), offset - end_))));
    return append(data);
}

Status FileOutput::append(std::span<const std::byte> data) {
    while (!data.empty()) {
        const Window& window = windows_[current_];
        const size_t filled = end_ - window.start;
        const auto part = data.first(std::min(data.size(), window_bytes - filled));
        std::memcpy(window.data + filled, part.data(), part.size());
        end_ += part.size();
        data = data.subspan(part.size());
        if (filled + part.size() == window_bytes) TLC_TRY(pass_on());
    }
    return {};
}

Status FileOutput::pass_on() {
    if (const auto next = next_window()) {
        current_ = *next;
    } else {
        refused_ = direct_works_.load();
        TLC_TRY(into_cache(windows_[current_], window_bytes));
        cache_end_ = end_;
        const std::lock_guard lock(mutex_);
        if ((in_cache_ += window_bytes) >= write_back_step) changed_.notify_all();
    }
    windows_[current_].start = end_;
    return state();
}

// Puts the current window into the queue if there is another one to go on with, or will be in a moment.
std::optional<size_t> FileOutput::next_window() {
    if (!direct_works_) return std::nullopt;
    std::unique_lock lock(mutex_);
    if (free_.empty() && !refused_)
        changed_.wait_for(lock, patience, [&] { return !free_.empty() || !direct_works_ || error_; });
    if (free_.empty() || !direct_works_) return std::nullopt;
    refused_ = false;
    queue_.push_back(current_);
    const size_t next = free_.front();
    free_.pop_front();
    changed_.notify_all();
    return next;
}

Status FileOutput::into_cache(const Window& window, size_t length) {
    return check(put(fd_, {window.data, length}, window.start));
}

// A page in the cache must not be changed while a window over it is on its way past the cache. That may take
// long on a disk that is busy, and somebody waits for us.
Status FileOutput::write_before(uint64_t offset, std::span<const std::byte> data) {
    if (idle()) {
        TLC_TRY(write_late());
        return check(put(fd_, data, offset));
    }
    late_.push_back({offset, {data.begin(), data.end()}});
    if ((late_bytes_ += data.size()) < late_most) return {};
    TLC_TRY(wait_until_idle());
    return write_late();
}

Status FileOutput::write_late() {
    for (const Late& late : late_)
        TLC_TRY(check(put(fd_, late.data, late.offset)));
    late_.clear();
    late_bytes_ = 0;
    return {};
}

bool FileOutput::idle() {
    const std::lock_guard lock(mutex_);
    return queue_.empty();
}

Status FileOutput::wait_until_idle() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return queue_.empty(); });
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
}

Status FileOutput::read(uint64_t offset, std::span<std::byte> data) {
    TLC_TRY(drain());
    std::fill(data.begin(), data.end(), std::byte{0});
    if (offset >= end_) return {};
    return read_at(fd_, data.first(std::min<uint64_t>(data.size(), end_ - offset)), offset);
}

// The current window stays as it is, to be filled further.
Status FileOutput::drain() {
    if (discarding_) return {};
    TLC_TRY(wait_until_idle());
    TLC_TRY(write_late());
    const Window& window = windows_[current_];
    return end_ > window.start ? into_cache(window, end_ - window.start) : Status{};
}

void FileOutput::run() {
    for (std::unique_lock lock(mutex_);;) {
        changed_.wait(lock, [&] { return ending_ || !queue_.empty() || in_cache_ >= write_back_step; });
        if (ending_) return;
        const bool window = !queue_.empty();
        const size_t index = window ? queue_.front() : 0;
        lock.unlock();
        if (window)
            write_window(windows_[index]);
        else
            write_back();
        lock.lock();
        if (!window) continue;
        queue_.pop_front();
        free_.push_back(index);
        changed_.notify_all();
    }
}

void FileOutput::write_window(const Window& window) {
    const auto began = Clock::now();
    const int failed = put(direct_.get(), {window.data, window_bytes}, window.start);
    const std::chrono::duration<double, std::nano> took = Clock::now() - began;
    ns_per_byte_ = took.count() / window_bytes;
    // Some file systems take the flag and refuse the writing.
    if (failed == EINVAL || failed == EOPNOTSUPP) {
        direct_works_ = false;
        static_cast<void>(into_cache(window, window_bytes)); // state() has the error
    } else {
        static_cast<void>(check(failed));
    }
}

void FileOutput::write_back() {
    const uint64_t bytes = in_cache_;
    const auto began = Clock::now();
    // Where that cannot be asked for the disk begins when the kernel says so.
    if (::sync_file_range(background_.get(), 0, static_cast<off_t>(cache_end_.load()),
                          SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) ==
        0) {
        const std::chrono::duration<double, std::nano> took = Clock::now() - began;
        ns_per_byte_ = took.count() / static_cast<double>(bytes);
    }
    in_cache_ -= bytes;
}

} // namespace tlc
