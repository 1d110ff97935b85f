// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/scheduling.hpp>
#include <tlc/capture/userfault.hpp>
#include <tlc/checkpoint/memory_filler.hpp>

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <pthread.h>

namespace tlc {

MemoryFiller::MemoryFiller(const ImageReader& image, Fd userfaultfd, std::vector<MemoryPlace> places,
                           const FillOptions& options)
    : image_(image), userfaultfd_(std::move(userfaultfd)), places_(std::move(places)), options_(options),
      ending_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), order_(image.needed_chunks()) {
    for (uint32_t file = 0; file <= image.older_files().size(); ++file)
        chunks_.emplace_back(image.chunk_count(file));
}

Result<std::unique_ptr<MemoryFiller>> MemoryFiller::start(const ImageReader& image, Fd userfaultfd,
                                                          std::vector<MemoryPlace> places,
                                                          const FillOptions& options) {
    TLC_TRY(userfault::make_nonblocking(userfaultfd.get()));
    std::unique_ptr<MemoryFiller> filler(
        new MemoryFiller(image, std::move(userfaultfd), std::move(places), options));
    if (!filler->ending_event_) return fail_errno(errno, "cannot make an eventfd");
    // Signals are the main thread's.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    filler->threads_.emplace_back([raw = filler.get()] { raw->serve_faults(); });
    for (unsigned i = 0; i < options.threads; ++i)
        filler->threads_.emplace_back([raw = filler.get()] { raw->fetch(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return filler;
}

MemoryFiller::~MemoryFiller() { end(); }

void MemoryFiller::end() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    ::eventfd_write(ending_event_.get(), 1);
    for (auto& thread : threads_)
        thread.join();
    threads_.clear();
}

void MemoryFiller::stop(Error why) {
    {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::move(why);
        ending_ = true;
    }
    changed_.notify_all();
    ::eventfd_write(ending_event_.get(), 1);
    // Whoever waits for an answer of QEMU, which may wait for a page, shall not.
    if (options_.peer_fd >= 0) ::shutdown(options_.peer_fd, SHUT_RD);
}

Status MemoryFiller::state() {
    const std::lock_guard lock(mutex_);
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
}

void MemoryFiller::fetch_all() {
    const std::lock_guard lock(mutex_);
    may_fetch_ = true;
    fetching_since_ = std::chrono::steady_clock::now();
    changed_.notify_all();
}

Status MemoryFiller::wait() {
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ending_ || chunks_done_ == order_.size(); });
    }
    return state();
}

Status MemoryFiller::wait_for_hang_up(std::chrono::seconds limit) {
    {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, limit, [&] { return hung_up_ || error_; }))
            return fail("QEMU does not take note that its memory is complete");
    }
    return state();
}

// What is wrong before all is in is the end of a VM without its memory, and expected afterwards.
void MemoryFiller::take_hang_up() {
    if (chunks_done_ != order_.size())
        return stop({ErrorKind::failed, "QEMU has closed the channel: it has ended or given up"});
    const std::lock_guard lock(mutex_);
    hung_up_ = true;
    changed_.notify_all();
}

void MemoryFiller::serve_faults() {
    answer_quickly();
    pollfd entries[] = {
        {ending_event_.get(), POLLIN, 0}, {userfaultfd_.get(), POLLIN, 0}, {options_.peer_fd, POLLRDHUP, 0}};
    while (!ending_) {
        if (::poll(entries, 3, -1) < 0 && errno != EINTR) {
            auto error = fail_errno(errno, "poll of the userfaultfd");
            return stop(std::move(error).value());
        }
        if (entries[2].revents != 0) return take_hang_up();
        while (!ending_ && entries[1].revents != 0) {
            auto fault = userfault::next(userfaultfd_.get());
            if (!fault) return stop(std::move(fault).error());
            if (!*fault) break;
            ++faults_;
            ++urgent_;
            auto served = serve((*fault)->address);
            if (--urgent_ == 0) urgent_.notify_all();
            if (!served) return stop(std::move(served).error());
        }
    }
}

// A chunk that is on its way wakes its waiters when it comes. One that came before the fault was read wakes
// nobody any more, so that is done here.
Status MemoryFiller::serve(uint64_t address) {
    for (uint32_t block = 0; block < places_.size(); ++block) {
        const MemoryPlace& place = places_[block];
        const auto table = image_.page_table(block);
        if (!place.watched || address < place.address ||
            address - place.address >= table.size() * image_page_size)
            continue;
        const uint64_t page = (address - place.address) / image_page_size;
        const uint64_t page_address = place.address + page * image_page_size;
        if (table[page] == 0)
            return userfault::fill_zero(userfaultfd_.get(), page_address, image_page_size, image_page_size);
        const ImageChunk chunk{static_cast<uint32_t>(table[page] >> image_file_shift),
                               ((table[page] & image_slot_mask) - 1) / image_chunk_pages};
        if (claim(chunk)) {
            std::vector<std::byte> buffer(image_chunk_size);
            return bring(chunk, buffer);
        }
        if (chunks_[chunk.file][chunk.number] == Chunk::there)
            return userfault::wake(userfaultfd_.get(), page_address, image_page_size);
        return {};
    }
    return fail("fault at {:#x}, outside of every RAM block", address);
}

bool MemoryFiller::claim(const ImageChunk& chunk) {
    auto expected = Chunk::missing;
    return chunks_[chunk.file][chunk.number].compare_exchange_strong(expected, Chunk::coming);
}

void MemoryFiller::fetch() {
    work_in_background();
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return may_fetch_ || ending_; });
    }
    std::vector<std::byte> buffer(image_chunk_size);
    while (!ending_) {
        const size_t i = next_++;
        if (i >= order_.size()) return;
        // Reading from the file is one thread's at a time, and somebody waits.
        for (unsigned busy = urgent_; busy != 0; busy = urgent_)
            urgent_.wait(busy);
        keep_to_rate(i * image_chunk_size);
        if (!claim(order_[i])) continue;
        if (auto brought = bring(order_[i], buffer); !brought) return stop(std::move(brought).error());
    }
}

void MemoryFiller::keep_to_rate(uint64_t bytes) {
    if (options_.bytes_per_second == 0) return;
    const std::chrono::duration<double> due(static_cast<double>(bytes) /
                                            static_cast<double>(options_.bytes_per_second));
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, fetching_since_ + std::chrono::duration_cast<std::chrono::nanoseconds>(due),
                        [&] { return ending_.load(); });
}

Status MemoryFiller::bring(const ImageChunk& chunk, std::vector<std::byte>& buffer) {
    TLC_TRY(image_.read_chunk(chunk, buffer));
    TLC_TRY(put_in(image_.chunk_pages(chunk), buffer));
    chunks_[chunk.file][chunk.number] = Chunk::there;
    if (++chunks_done_ == order_.size()) {
        const std::lock_guard lock(mutex_); // so that wait() cannot miss it
        changed_.notify_all();
    }
    return {};
}

// Pages that follow each other in the chunk and in memory go in together.
Status MemoryFiller::put_in(const ImageChunkPages& pages, std::span<const std::byte> data) {
    for (size_t first = 0; first < pages.size();) {
        const ImagePageRef& page = pages[first];
        size_t count = 1;
        if (page.block == ImagePageRef::no_block || !places_[page.block].watched) {
            first += count;
            continue;
        }
        while (first + count < pages.size() && pages[first + count].block == page.block &&
               pages[first + count].page == page.page + count)
            ++count;
        TLC_TRY(userfault::fill(userfaultfd_.get(), places_[page.block].address + page.page * image_page_size,
                                data.subspan(first * image_page_size, count * image_page_size)));
        pages_ += count;
        first += count;
    }
    return {};
}

} // namespace tlc
