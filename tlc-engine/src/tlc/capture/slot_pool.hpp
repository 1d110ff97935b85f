// SPDX-License-Identifier: GPL-2.0-or-later
// SlotPool: the capture's buffer. A fixed number of slots of one size, free or filled and queued for the
// workers; it never grows. Who finds no free slot waits: that is the back-pressure on the guest. The sweep
// has only a few slots at a time: more would bring it no further, and what it has copied would be out of the
// processors' caches before it is written. It gets none while the buffer is fuller than three quarters: then
// writers of the guest wait, or soon will. Thread-safe.
#pragma once

#include <tlc/capture/capture_buffer.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace tlc {

// Where the pages of a filled slot belong. Its owner (who acquired or popped it) may touch it without a lock.
struct Slot {
    std::byte* data = nullptr;
    uint32_t block = 0;
    uint64_t first_page = 0;
    uint32_t pages = 0;
    std::vector<uint8_t> touched; // per page: 1 when data holds it
    bool by_sweep = false;
};

class SlotPool {
  public:
    // `count` slots, at least 2, at the front of the buffer, which outlives the pool. What was used last is
    // used again first.
    SlotPool(CaptureBuffer& buffer, uint32_t count, size_t slot_bytes);
    SlotPool(const SlotPool&) = delete;
    SlotPool& operator=(const SlotPool&) = delete;

    uint32_t count() const { return static_cast<uint32_t>(slots_.size()); }
    Slot& operator[](uint32_t index) { return slots_[index]; }
    size_t slot_bytes() const { return slot_bytes_; }

    // Waits until out.size() slots are free (at most the pool's size) and takes them; those who wait are
    // served in the order they came. False after close() or abort().
    bool acquire_for_fault(std::span<uint32_t> out);
    // Waits until `least` slots are free of those that the sweep may have (never more than that), takes up
    // to out.size() of them; 0 after close() or abort().
    size_t acquire_for_sweep(std::span<uint32_t> out, size_t least = 1);
    void release(std::span<const uint32_t> indexes);

    // Filled slots, first in first out. pop waits for one and takes what there is, up to out.size(); 0 after
    // abort(), or after close() when all are out.
    void push(std::span<const uint32_t> indexes);
    size_t pop(std::span<uint32_t> out);

    void close(); // nothing will be acquired or pushed any more; what is queued is still popped
    void open();  // after close(), when all is popped and released: begins anew, the peak too
    void abort(); // everybody stops waiting
    uint64_t peak_bytes() const;

  private:
    size_t free_for_sweep() const;
    void take(std::span<uint32_t> out, bool by_sweep);

    size_t slot_bytes_;
    size_t reserve_; // for faults
    size_t sweep_most_;
    std::vector<Slot> slots_;

    mutable std::mutex mutex_;
    std::condition_variable fault_wait_;
    std::condition_variable sweep_wait_;
    std::condition_variable filled_wait_;
    std::vector<uint32_t> free_;
    std::vector<uint32_t> filled_; // a ring
    size_t filled_first_ = 0;
    size_t filled_count_ = 0;
    uint64_t next_ticket_ = 0; // of the faults that wait
    uint64_t now_served_ = 0;
    size_t swept_ = 0; // slots in use that the sweep took
    size_t peak_ = 0;
    bool closed_ = false;
    bool aborted_ = false;
};

} // namespace tlc
