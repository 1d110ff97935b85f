// SPDX-License-Identifier: GPL-2.0-or-later
// DirtyTable: copies of dirty guest pages by (block, page), in a buffer of fixed size, and the order in which
// they came. Not thread-safe.
#pragma once

#include <tlc/capture/page_sink.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

namespace tlc {

class DirtyTable {
  public:
    struct Entry {
        uint32_t block = 0;
        uint64_t page = 0;
        uint32_t slot = 0;
    };

    // Maps and touches all memory. bytes: at least one page.
    static Result<std::unique_ptr<DirtyTable>> create(uint64_t bytes);
    ~DirtyTable();
    DirtyTable(const DirtyTable&) = delete;
    DirtyTable& operator=(const DirtyTable&) = delete;

    size_t size() const { return order_.size(); }
    size_t capacity() const { return capacity_; }
    uint64_t peak_bytes() const { return peak_ * guest_page; }
    bool full() const { return free_.empty(); }

    bool contains(uint32_t block, uint64_t page) const { return newest_.contains(key(block, page)); }
    // Where the page's copy goes: its place if it has one and `replace`, otherwise a new one, which the table
    // must have room for. An older copy that is not replaced stays in the order before it.
    std::byte* place(uint32_t block, uint64_t page, bool replace);
    std::byte* data(const Entry& entry) const { return memory_ + entry.slot * guest_page; }
    const Entry& oldest() const { return order_.front(); }
    void drop_oldest();

  private:
    DirtyTable(std::byte* memory, size_t capacity);
    static uint64_t key(uint32_t block, uint64_t page) { return uint64_t{block} << 48 | page; }

    std::byte* memory_;
    size_t capacity_;
    size_t peak_ = 0;
    std::vector<uint32_t> free_;
    std::deque<Entry> order_;
    std::unordered_map<uint64_t, uint32_t> newest_; // slot of the newest copy
};

} // namespace tlc
