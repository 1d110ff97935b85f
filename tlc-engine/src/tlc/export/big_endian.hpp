// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers as QEMU's migration streams have them, most significant byte first; for this folder's .cpp files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tlc {

// Grows as it is appended to.
class BigEndianBytes {
  public:
    void u8(uint8_t value) { bytes_.push_back(std::byte{value}); }
    void u32(uint32_t value) { number(value, sizeof value); }
    void u64(uint64_t value) { number(value, sizeof value); }
    void raw(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    void raw(std::string_view text) { raw(std::as_bytes(std::span(text))); }
    // One byte of length before it: at most 255 characters.
    void counted(std::string_view text) {
        u8(static_cast<uint8_t>(text.size()));
        raw(text);
    }
    void reserve(size_t bytes) { bytes_.reserve(bytes); }
    void clear() { bytes_.clear(); }
    size_t size() const { return bytes_.size(); }
    std::span<const std::byte> span() const { return bytes_; }

  private:
    void number(uint64_t value, size_t bytes) {
        for (size_t i = bytes; i-- > 0;)
            u8(static_cast<uint8_t>(value >> (8 * i)));
    }
    std::vector<std::byte> bytes_;
};

// The number in the first `bytes` bytes from `at` on; whoever calls has checked that they are there.
inline uint64_t big_endian(std::span<const std::byte> from, size_t at, size_t bytes) {
    uint64_t value = 0;
    for (const std::byte byte : from.subspan(at, bytes))
        value = value << 8 | std::to_integer<uint64_t>(byte);
    return value;
}

} // namespace tlc
