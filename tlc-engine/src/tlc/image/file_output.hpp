// SPDX-License-Identifier: GPL-2.0-or-later
// FileOutput writes a file that grows nearly from front to back past the page cache (O_DIRECT): that takes a
// fifth of the processor time, and leaves the cache to the job. What comes is gathered in windows; a thread
// writes full ones while the next is filled. Nobody is held up for long: where the disk does not keep up, or
// the file system knows no O_DIRECT, a window goes into the page cache after all, and the disk is told to
// begin with it. Bytes between those written are zeros.
// One thread at a time but for disk_ns_per_byte(). After an Error every call gives it again.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

namespace tlc {

class FileOutput {
  public:
    // fd: an empty regular file, open for reading and writing; the caller's, outlives this.
    static Result<std::unique_ptr<FileOutput>> create(int fd);
    FileOutput(const FileOutput&) = delete;
    FileOutput& operator=(const FileOutput&) = delete;
    ~FileOutput(); // what is not drained may be lost

    Status write(uint64_t offset, std::span<const std::byte> data);
    // What was written, or zeros.
    Status read(uint64_t offset, std::span<std::byte> data);
    // Everything written is with the kernel; fsync of the file makes it durable.
    Status drain();
    // What comes from now on is dropped without an error.
    void discard() { discarding_ = true; }

    uint64_t end() const { return end_; } // of what was written
    Status state();                       // the first error
    // Nanoseconds the disk takes for a byte; 0 as long as it keeps up. Thread-safe.
    double disk_ns_per_byte() const;

  private:
    struct Window {
        std::byte* data = nullptr;
        uint64_t start = 0; // in the file, a multiple of the window's size
    };
    struct Late { // what is to be written when no window is on its way
        uint64_t offset = 0;
        std::vector<std::byte> data;
    };
    static constexpr size_t window_count = 3;

    FileOutput(int fd, Fd direct, Fd background, std::byte* memory);
    Status append(std::span<const std::byte> data);
    Status pass_on(); // the current window, which is full
    std::optional<size_t> next_window();
    Status into_cache(const Window& window, size_t length);
    Status write_before(uint64_t offset, std::span<const std::byte> data);
    Status write_late();
    bool idle();
    Status wait_until_idle();
    Status check(int error_number);

    void run();
    void write_window(const Window& window);
    void write_back();

    const int fd_;
    Fd direct_;
    Fd background_; // an error that it is told of is told to fsync of fd_ all the same
    std::byte* const memory_;
    std::array<Window, window_count> windows_;
    size_t current_ = 0;
    uint64_t end_ = 0; // in the current window, or its end
    bool discarding_ = false;
    std::vector<Late> late_;
    size_t late_bytes_ = 0;
    std::atomic<bool> direct_works_;
    std::atomic<bool> refused_ = false;   // the last window found no place in the queue
    std::atomic<uint64_t> in_cache_ = 0;  // bytes put there that the disk has not begun with
    std::atomic<uint64_t> cache_end_ = 0; // of those
    std::atomic<double> ns_per_byte_ = 0;

    std::mutex mutex_; // from here on
    std::condition_variable changed_;
    std::deque<size_t> queue_; // windows to be written, the first one being written
    std::deque<size_t> free_;
    std::optional<Error> error_;
    bool ending_ = false;
    std::thread thread_;
};

} // namespace tlc
