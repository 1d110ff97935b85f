// SPDX-License-Identifier: GPL-2.0-or-later
// Little-endian fields into and out of a byte sequence; private to this folder. Reader never reads past the
// end: it then returns zeros and complete() is false.
#pragma once

#include <tlc/channel/messages.hpp>

#include <algorithm>
#include <optional>

namespace tlc::wire {

inline constexpr size_t id_size = 256;
inline constexpr size_t name_size = 64;
inline constexpr size_t description_size = 4 * 4 + 8 + 2 * name_size;
inline constexpr size_t ram_block_size = id_size + 4 * 8 + 2 * 4;
inline constexpr size_t load_begin_size = 8;
inline constexpr size_t load_block_size = id_size + 8;
inline constexpr uint32_t block_protectable = 1;
inline constexpr uint32_t block_missing_faults = 2;
inline constexpr uint32_t sync_hold = 1;

// An ERROR's text as it can be shown: what is no UTF-8 becomes '?', a control character a space.
std::string clean_text(std::span<const std::byte> raw);

class Writer {
  public:
    void u16(uint16_t value) { integer(value); }
    void u32(uint32_t value) { integer(value); }
    void u64(uint64_t value) { integer(value); }
    void bytes(std::string_view text) {
        for (const char c : text)
            out_.push_back(static_cast<std::byte>(c));
    }
    // Zero-padded; the caller has checked that text is shorter than size.
    void text(std::string_view text, size_t size) {
        bytes(text);
        out_.resize(out_.size() + size - text.size());
    }
    std::vector<std::byte> take() { return std::move(out_); }

  private:
    template <typename T>
    void integer(T value) {
        for (size_t i = 0; i < sizeof(T); ++i)
            out_.push_back(static_cast<std::byte>(value >> (8 * i)));
    }
    std::vector<std::byte> out_;
};

class Reader {
  public:
    explicit Reader(std::span<const std::byte> in) : in_(in) {}
    uint16_t u16() { return integer<uint16_t>(); }
    uint32_t u32() { return integer<uint32_t>(); }
    uint64_t u64() { return integer<uint64_t>(); }
    // A string that ends with a NUL inside its field; nothing when it does not.
    std::optional<std::string> text(size_t size) {
        const auto field = take(size);
        const auto end = std::find(field.begin(), field.end(), std::byte{0});
        if (end == field.end()) return std::nullopt;
        std::string out;
        for (auto i = field.begin(); i != end; ++i)
            out.push_back(static_cast<char>(*i));
        return out;
    }
    bool complete() const { return !short_ && in_.empty(); }

  private:
    std::span<const std::byte> take(size_t size) {
        if (size > in_.size()) {
            short_ = true;
            in_ = {};
            return {};
        }
        const auto out = in_.first(size);
        in_ = in_.subspan(size);
        return out;
    }
    template <typename T>
    T integer() {
        T value = 0;
        const auto field = take(sizeof(T));
        for (size_t i = 0; i < field.size(); ++i)
            value = static_cast<T>(value | static_cast<T>(static_cast<T>(field[i]) << (8 * i)));
        return value;
    }
    std::span<const std::byte> in_;
    bool short_ = false;
};

} // namespace tlc::wire
