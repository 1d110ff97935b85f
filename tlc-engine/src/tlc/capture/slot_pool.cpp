// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/page_sink.hpp>
#include <tlc/capture/slot_pool.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace tlc {

Result<std::unique_ptr<SlotPool>> SlotPool::create(uint32_t count, size_t slot_bytes) {
    const size_t bytes = count * slot_bytes;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return fail_errno(errno, fmt::format("cannot allocate the checkpoint buffer of {} bytes", bytes));
    // Huge pages are there sooner. They are a wish; all of it is touched here, so that nothing is missing
    // later.
    ::madvise(memory, bytes, MADV_HUGEPAGE);
    for (size_t at = 0; at < bytes; at += guest_page)
        static_cast<volatile std::byte*>(memory)[at] = std::byte{0};
    return std::unique_ptr<SlotPool>(new SlotPool(static_cast<std::byte*>(memory), count, slot_bytes));
}

SlotPool::SlotPool(std::byte* memory, uint32_t count, size_t slot_bytes)
    : memory_(memory), slot_bytes_(slot_bytes), reserve_(std::max(1U, count / 4)), slots_(count),
      filled_(count) {
    free_.reserve(count);
    for (uint32_t i = count; i-- > 0;) {
        slots_[i].data = memory + i * slot_bytes;
        slots_[i].touched.resize(slot_bytes / guest_page);
        free_.push_back(i);
    }
}

SlotPool::~SlotPool() { ::munmap(memory_, slots_.size() * slot_bytes_); }

bool SlotPool::acquire_for_fault(std::span<uint32_t> out) {
    std::unique_lock lock(mutex_);
    const uint64_t ticket = next_ticket_++;
    fault_wait_.wait(
        lock, [&] { return closed_ || aborted_ || (ticket == now_served_ && free_.size() >= out.size()); });
    if (closed_ || aborted_) return false;
    take(out);
    ++now_served_;
    if (next_ticket_ != now_served_)
        fault_wait_.notify_all();
    else if (free_.size() > reserve_)
        sweep_wait_.notify_all();
    return true;
}

size_t SlotPool::acquire_for_sweep(std::span<uint32_t> out, size_t least) {
    least = std::clamp<size_t>(least, 1, slots_.size() - reserve_);
    std::unique_lock lock(mutex_);
    sweep_wait_.wait(lock, [&] {
        return closed_ || aborted_ || (next_ticket_ == now_served_ && free_.size() >= reserve_ + least);
    });
    if (closed_ || aborted_) return 0;
    out = out.first(std::min(out.size(), free_.size() - reserve_));
    take(out);
    return out.size();
}

void SlotPool::take(std::span<uint32_t> out) {
    for (uint32_t& index : out) {
        index = free_.back();
        free_.pop_back();
    }
    peak_ = std::max(peak_, slots_.size() - free_.size());
}

void SlotPool::release(std::span<const uint32_t> indexes) {
    if (indexes.empty()) return;
    const std::lock_guard lock(mutex_);
    free_.insert(free_.end(), indexes.begin(), indexes.end());
    if (next_ticket_ != now_served_) fault_wait_.notify_all();
    if (free_.size() > reserve_) sweep_wait_.notify_all();
}

void SlotPool::push(uint32_t index) {
    const std::lock_guard lock(mutex_);
    filled_[(filled_first_ + filled_count_++) % filled_.size()] = index;
    filled_wait_.notify_one();
}

std::optional<uint32_t> SlotPool::pop() {
    std::unique_lock lock(mutex_);
    filled_wait_.wait(lock, [&] { return aborted_ || closed_ || filled_count_ > 0; });
    if (aborted_ || filled_count_ == 0) return std::nullopt;
    const uint32_t index = filled_[filled_first_];
    filled_first_ = (filled_first_ + 1) % filled_.size();
    --filled_count_;
    return index;
}

void SlotPool::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    fault_wait_.notify_all();
    sweep_wait_.notify_all();
    filled_wait_.notify_all();
}

void SlotPool::open() {
    const std::lock_guard lock(mutex_);
    closed_ = false;
    now_served_ = next_ticket_; // those who waited when it was closed are gone
    peak_ = slots_.size() - free_.size();
}

void SlotPool::abort() {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    fault_wait_.notify_all();
    sweep_wait_.notify_all();
    filled_wait_.notify_all();
}

uint64_t SlotPool::peak_bytes() const {
    const std::lock_guard lock(mutex_);
    return peak_ * slot_bytes_;
}

} // namespace tlc
