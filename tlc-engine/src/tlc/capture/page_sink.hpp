// SPDX-License-Identifier: GPL-2.0-or-later
// Where captured pages go. One sink a worker thread, so an implementation needs no lock of its own; different
// sinks are called at the same time.
#pragma once

#include <tlc/base/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace tlc {

inline constexpr uint64_t guest_page = 4096;
inline constexpr uint64_t sink_bytes = uint64_t{64} << 10;

struct PageSink {
    virtual ~PageSink() = default;
    // A run of whole guest pages of one block, at most sink_bytes. block counts in HELLO's order, first_page
    // in guest pages from the block's start. data is valid during the call only. Each page comes at most
    // once (by dirty log: more often, the last one counts). Pages that never come were never touched and are
    // zero, or, where the capture goes on from an earlier checkpoint, are as they were then. An Error ends
    // the capture with it.
    virtual Status pages(uint32_t block, uint64_t first_page, std::span<const std::byte> data) = 0;
};

} // namespace tlc
