// SPDX-License-Identifier: GPL-2.0-or-later
// MemoryFiller puts the pages of an image into a VM that runs already: whoever touches a page that is not in
// yet waits for it, and is served first; other threads fetch the rest in the image's order. Pages that are
// zero in the image are given out when they are touched. (Post-copy: Hines and Gopalan, "Post-copy based live
// virtual machine migration using adaptive pre-paging and dynamic self-ballooning", 2009; here from a file.)
//
// On an error (a damaged chunk, QEMU gone) the threads end, and whoever waits goes on waiting: a page that
// cannot be had is never replaced by zeros. QEMU has to be ended then; it ends by itself when it hears of it.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/checkpoint/memory_loader.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace tlc {

struct FillOptions {
    unsigned threads = 2;          // that fetch what nobody has asked for yet
    uint64_t bytes_per_second = 0; // that they read at most; 0: as fast as they can
    int peer_fd = -1;              // QEMU's end of the channel, watched for hang-up; the caller's
};

class MemoryFiller {
  public:
    // Faults are served from here on, in blocks that are watched. `image` outlives this.
    static Result<std::unique_ptr<MemoryFiller>> start(const ImageReader& image, Fd userfaultfd,
                                                       std::vector<MemoryPlace> places,
                                                       const FillOptions& options);
    MemoryFiller(const MemoryFiller&) = delete;
    MemoryFiller& operator=(const MemoryFiller&) = delete;
    ~MemoryFiller();

    // Now the others may begin to fetch: before, only what is asked for comes, so that it comes soon.
    void fetch_all();
    // Until every page is in, or the first error. Whoever touches a page that is zero is served further: QEMU
    // itself may, and could not hear then that everything is in.
    Status wait();
    // Until QEMU, which has been told, closes the channel.
    Status wait_for_hang_up(std::chrono::seconds limit);
    Status state(); // the first error there was

    uint64_t bytes_total() const { return image_.used_bytes(); }
    uint64_t bytes_done() const { return chunks_done_ * image_chunk_size; }
    uint64_t pages() const { return pages_; }
    uint64_t faults() const { return faults_; }

  private:
    enum class Chunk : uint8_t { missing, coming, there };

    MemoryFiller(const ImageReader& image, Fd userfaultfd, std::vector<MemoryPlace> places,
                 const FillOptions& options);
    void serve_faults();
    Status serve(uint64_t address);
    void fetch();
    Status bring(const ImageChunk& chunk, std::vector<std::byte>& buffer);
    Status put_in(const ImageChunkPages& pages, std::span<const std::byte> data);
    bool claim(const ImageChunk& chunk);
    void keep_to_rate(uint64_t bytes);
    void take_hang_up();
    void stop(Error why);
    void end();

    const ImageReader& image_;
    const Fd userfaultfd_;
    const std::vector<MemoryPlace> places_;
    const FillOptions options_;
    Fd ending_event_;
    std::vector<ImageChunk> order_;                       // every chunk that the image needs
    std::vector<std::vector<std::atomic<Chunk>>> chunks_; // by file and number
    std::atomic<size_t> next_ = 0;
    std::atomic<uint64_t> chunks_done_ = 0;
    std::atomic<uint64_t> pages_ = 0;
    std::atomic<uint64_t> faults_ = 0;
    std::atomic<unsigned> urgent_ = 0; // faults being served
    std::chrono::steady_clock::time_point fetching_since_;

    std::mutex mutex_; // from here on
    std::condition_variable changed_;
    bool may_fetch_ = false;
    bool hung_up_ = false;
    std::optional<Error> error_;
    std::atomic<bool> ending_ = false;
    std::vector<std::thread> threads_;
};

} // namespace tlc
