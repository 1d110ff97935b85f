// SPDX-License-Identifier: GPL-2.0-or-later
// What the sinks of a capture got, and sinks that are slow or fail when told to.
#pragma once

#include <tlc/capture/page_sink.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "capture_guest.hpp"

namespace tlc::test {

inline unsigned from_environment(const char* name, unsigned otherwise) {
    const char* value = std::getenv(name);
    return value == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(value, nullptr, 10));
}

// What all sinks of a capture got.
class Image {
  public:
    // twice: a page may come again, and the last one counts.
    explicit Image(const std::vector<GuestBlock>& blocks, bool twice = false) : twice_(twice) {
        for (const GuestBlock& b : blocks) {
            content_.emplace_back(b.length);
            seen_.push_back(std::make_unique<std::atomic<unsigned>[]>(b.length / guest_page));
        }
    }
    Status add(uint32_t block, uint64_t first, std::span<const std::byte> data) {
        if (block >= content_.size() || data.empty() || data.size() % guest_page != 0 ||
            data.size() > sink_bytes || first * guest_page + data.size() > content_[block].size())
            return fail("bad run of pages");
        for (uint64_t p = 0; p < data.size() / guest_page; ++p)
            if (seen_[block][first + p]++ != 0 && !twice_)
                return fail("page {} of block {} came twice", first + p, block);
        std::memcpy(content_[block].data() + first * guest_page, data.data(), data.size());
        return {};
    }
    // What comes now is a later state of the same memory.
    void next_checkpoint() {
        for (size_t i = 0; i < content_.size(); ++i)
            for (size_t p = 0; p < content_[i].size() / guest_page; ++p)
                seen_[i][p] = 0;
    }
    // The first page that differs from the reference, as text; empty: none.
    std::string difference(const TestGuest& guest) const {
        for (size_t i = 0; i < content_.size(); ++i)
            for (size_t p = 0; p < content_[i].size() / guest_page; ++p)
                if (std::memcmp(content_[i].data() + p * guest_page, guest.reference(i) + p * guest_page,
                                guest_page) != 0)
                    return fmt::format("block {} page {} of {}, seen {}", i, p,
                                       content_[i].size() / guest_page, seen_[i][p].load());
        return "";
    }
    uint64_t seen() const {
        uint64_t sum = 0;
        for (size_t i = 0; i < content_.size(); ++i)
            for (size_t p = 0; p < content_[i].size() / guest_page; ++p)
                sum += seen_[i][p];
        return sum;
    }

  private:
    bool twice_;
    std::vector<std::vector<std::byte>> content_;
    std::vector<std::unique_ptr<std::atomic<unsigned>[]>> seen_;
};

struct TestSink : PageSink {
    explicit TestSink(Image& to) : image(to) {}
    Status pages(uint32_t block, uint64_t first_page, std::span<const std::byte> data) override {
        if (delay.count() > 0) std::this_thread::sleep_for(delay);
        if (fail_after-- == 0) return fail(ErrorKind::no_space, "disk full");
        return image.add(block, first_page, data);
    }
    Image& image;
    std::chrono::microseconds delay{0};
    int64_t fail_after = -1;
};

} // namespace tlc::test
