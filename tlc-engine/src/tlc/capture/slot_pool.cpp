// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/page_sink.hpp>
#include <tlc/capture/slot_pool.hpp>

#include <algorithm>

namespace tlc {

namespace {
constexpr size_t sweep_bytes = size_t{8} << 20;
}

SlotPool::SlotPool(CaptureBuffer& buffer, uint32_t count, size_t slot_bytes)
    : slot_bytes_(slot_bytes), reserve_(std::max(1U, count / 4)),
      sweep_most_(std::clamp<size_t>(sweep_bytes / slot_bytes, 1, count - reserve_)), slots_(count),
      filled_(count) {
    free_.reserve(count);
    for (uint32_t i = count; i-- > 0;) {
        slots_[i].data = buffer.bytes().subspan(i * slot_bytes, slot_bytes).data();
        slots_[i].touched.resize(slot_bytes / guest_page);
        free_.push_back(i);
    }
}

bool SlotPool::acquire_for_fault(std::span<uint32_t> out) {
    std::unique_lock lock(mutex_);
    const uint64_t ticket = next_ticket_++;
    fault_wait_.wait(
        lock, [&] { return closed_ || aborted_ || (ticket == now_served_ && free_.size() >= out.size()); });
    if (closed_ || aborted_) return false;
    take(out, false);
    ++now_served_;
    if (next_ticket_ != now_served_)
        fault_wait_.notify_all();
    else if (free_for_sweep() > 0)
        sweep_wait_.notify_all();
    return true;
}

size_t SlotPool::acquire_for_sweep(std::span<uint32_t> out, size_t least) {
    least = std::clamp<size_t>(least, 1, sweep_most_);
    std::unique_lock lock(mutex_);
    sweep_wait_.wait(lock, [&] {
        return closed_ || aborted_ || (next_ticket_ == now_served_ && free_for_sweep() >= least);
    });
    if (closed_ || aborted_) return 0;
    out = out.first(std::min(out.size(), free_for_sweep()));
    take(out, true);
    return out.size();
}

size_t SlotPool::free_for_sweep() const {
    return std::min(free_.size() - std::min(free_.size(), reserve_), sweep_most_ - swept_);
}

void SlotPool::take(std::span<uint32_t> out, bool by_sweep) {
    for (uint32_t& index : out) {
        index = free_.back();
        free_.pop_back();
        slots_[index].by_sweep = by_sweep;
    }
    if (by_sweep) swept_ += out.size();
    peak_ = std::max(peak_, slots_.size() - free_.size());
}

void SlotPool::release(std::span<const uint32_t> indexes) {
    if (indexes.empty()) return;
    const std::lock_guard lock(mutex_);
    free_.insert(free_.end(), indexes.begin(), indexes.end());
    for (const uint32_t index : indexes)
        swept_ -= slots_[index].by_sweep ? 1 : 0;
    if (next_ticket_ != now_served_) fault_wait_.notify_all();
    if (free_for_sweep() > 0) sweep_wait_.notify_all();
}

void SlotPool::push(std::span<const uint32_t> indexes) {
    if (indexes.empty()) return;
    const std::lock_guard lock(mutex_);
    for (const uint32_t index : indexes)
        filled_[(filled_first_ + filled_count_++) % filled_.size()] = index;
    filled_wait_.notify_all();
}

size_t SlotPool::pop(std::span<uint32_t> out) {
    std::unique_lock lock(mutex_);
    filled_wait_.wait(lock, [&] { return aborted_ || closed_ || filled_count_ > 0; });
    if (aborted_) return 0;
    out = out.first(std::min(out.size(), filled_count_));
    for (uint32_t& index : out) {
        index = filled_[filled_first_];
        filled_first_ = (filled_first_ + 1) % filled_.size();
        --filled_count_;
    }
    return out.size();
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
