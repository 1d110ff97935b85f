// SPDX-License-Identifier: GPL-2.0-or-later
// Any numbers as the tables of an image: refused, or each page is in a slot of its own, also when files that
// are not needed have been left out.
#include <tlc/image/tables.hpp>

#include <algorithm>
#include <cstring>

#include "fuzz.hpp"

namespace {

// Takes numbers of 8 bytes from the input; zeros behind its end.
class Numbers {
  public:
    explicit Numbers(std::string_view from) : from_(from) {}
    uint64_t next() {
        uint64_t value = 0;
        const size_t size = std::min(from_.size(), sizeof value);
        if (size > 0) std::memcpy(&value, from_.data(), size);
        from_.remove_prefix(size);
        return value;
    }
    bool empty() const { return from_.empty(); }

  private:
    std::string_view from_;
};

size_t slots_in_use(const std::vector<std::vector<uint64_t>>& files) {
    size_t count = 0;
    for (const auto& file : files)
        for (const uint64_t owner : file)
            count += owner != tlc::no_page;
    return count;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Numbers numbers(tlc::fuzz::text(data, size));
    tlc::ImageTables tables;
    tables.chunks.resize(numbers.next() % 64);
    for (uint64_t n = numbers.next() % 4; n > 0; --n)
        tables.older.push_back({fmt::format("7d2f8a52-9f0b-4a63-b9d7-{:012x}", n), numbers.next() % 64, ""});
    size_t stored = 0;
    for (uint64_t n = 0; !numbers.empty() && n < 4; ++n) {
        auto& table = tables.page_tables.emplace_back(numbers.next() % 64);
        for (auto& entry : table)
            stored += (entry = numbers.next()) != 0;
        tables.blocks.push_back({fmt::format("ram{}", n), table.size() * tlc::image_page_size, 4096});
    }
    if (!tlc::check_older_files(tables.older) || !tlc::check_blocks(tables.blocks)) return 0;
    const auto files = tlc::invert_page_tables(tables);
    if (!files) return 0;
    tlc::fuzz::require(slots_in_use(*files) == stored, "each stored page has a slot of its own");
    tlc::drop_unused_older_files(tables);
    const auto fewer = tlc::invert_page_tables(tables);
    tlc::fuzz::require(fewer && slots_in_use(*fewer) == stored, "pages stay when unused files go");
    tlc::fuzz::require(tlc::root_digest(tables).size() == 32, "a digest has 32 digits");
    return 0;
}
