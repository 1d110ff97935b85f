// SPDX-License-Identifier: GPL-2.0-or-later
// What differs between the memory of two images. A page that both have in the same slot of the same file is
// equal without being read; of all others the content counts, by its XXH3-128. Needs 16 bytes of memory for
// each page of a block in which pages have to be read.
#pragma once

#include <tlc/base/checksum.hpp>
#include <tlc/image/reader.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

// In pages. Those that both images have are equal, changed, zero_in_a (but not in B) or zero_in_b.
struct BlockDifference {
    std::string id;
    uint64_t pages_a = 0; // 0: the block is only in B
    uint64_t pages_b = 0; // likewise
    uint64_t equal = 0;
    uint64_t changed = 0;
    uint64_t zero_in_a = 0;
    uint64_t zero_in_b = 0;
    uint64_t only_in_one = 0; // where the lengths differ

    bool operator==(const BlockDifference&) const = default;
};

class ImageComparison {
  public:
    // Both outlive this.
    ImageComparison(const ImageReader& a, const ImageReader& b);

    // How much has to be read; the unit of `done`.
    uint64_t bytes() const { return (chunks_a_.size() + chunks_b_.size()) * image_chunk_size; }
    // The blocks of A in its order, then those only in B. ErrorKind::damaged names the chunk.
    Result<std::vector<BlockDifference>> run(unsigned threads, std::atomic<uint64_t>& done) const;

  private:
    enum class Page { equal, zero_in_a, zero_in_b, to_read };
    struct Pair { // of blocks that both have
        uint32_t a = 0;
        uint32_t b = 0;
        uint64_t pages = 0; // of the shorter one
        bool to_read = false;
    };

    Page look(const Pair& pair, uint64_t page) const;
    const Pair* pair_of(const ImagePageRef& page, uint32_t Pair::*side) const;
    void plan_reading();

    const ImageReader& a_;
    const ImageReader& b_;
    std::vector<std::optional<uint32_t>> same_file_; // by A's number of a file: B's number of it
    std::vector<Pair> pairs_;
    std::vector<ImageChunk> chunks_a_;
    std::vector<ImageChunk> chunks_b_;
};

} // namespace tlc
