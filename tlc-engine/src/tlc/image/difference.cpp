// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/difference.hpp>

#include <algorithm>

namespace tlc {
namespace {

// Identities of the files an image is in, by their numbers.
std::vector<std::string> files_of(const ImageReader& image) {
    std::vector<std::string> files{image.info().identity};
    for (const auto& older : image.older_files())
        files.push_back(older.identity);
    return files;
}

// Chunks to be read of one image, by file and number.
class ChunkSet {
  public:
    explicit ChunkSet(const ImageReader& image) : files_(image.older_files().size() + 1) {
        for (uint32_t file = 0; file < files_.size(); ++file)
            files_[file].resize(image.chunk_count(file));
    }
    void add(uint64_t entry) {
        files_[entry >> image_file_shift][((entry & image_slot_mask) - 1) / image_chunk_pages] = true;
    }
    std::vector<ImageChunk> in_file_order() const {
        std::vector<ImageChunk> chunks;
        for (uint32_t file = 0; file < files_.size(); ++file)
            for (uint64_t number = 0; number < files_[file].size(); ++number)
                if (files_[file][number]) chunks.push_back({file, number});
        return chunks;
    }

  private:
    std::vector<std::vector<bool>> files_;
};

} // namespace

ImageComparison::ImageComparison(const ImageReader& a, const ImageReader& b) : a_(a), b_(b) {
    const auto files_b = files_of(b);
    for (const auto& identity : files_of(a)) {
        const auto found = std::find(files_b.begin(), files_b.end(), identity);
        same_file_.push_back(found == files_b.end() || identity.empty()
                                 ? std::nullopt
                                 : std::optional(static_cast<uint32_t>(found - files_b.begin())));
    }
    for (uint32_t n = 0; n < a.blocks().size(); ++n)
        for (uint32_t m = 0; m < b.blocks().size(); ++m)
            if (a.blocks()[n].id == b.blocks()[m].id)
                pairs_.push_back({n, m, std::min(a.page_table(n).size(), b.page_table(m).size())});
    plan_reading();
}

ImageComparison::Page ImageComparison::look(const Pair& pair, uint64_t page) const {
    const uint64_t in_a = a_.page_table(pair.a)[page];
    const uint64_t in_b = b_.page_table(pair.b)[page];
    if (in_a == 0 || in_b == 0)
        return in_a == in_b ? Page::equal : in_a == 0 ? Page::zero_in_a : Page::zero_in_b;
    const bool same = same_file_[in_a >> image_file_shift] == in_b >> image_file_shift &&
                      (in_a & image_slot_mask) == (in_b & image_slot_mask);
    return same ? Page::equal : Page::to_read;
}

void ImageComparison::plan_reading() {
    ChunkSet of_a(a_);
    ChunkSet of_b(b_);
    for (auto& pair : pairs_)
        for (uint64_t page = 0; page < pair.pages; ++page) {
            if (look(pair, page) != Page::to_read) continue;
            pair.to_read = true;
            of_a.add(a_.page_table(pair.a)[page]);
            of_b.add(b_.page_table(pair.b)[page]);
        }
    chunks_a_ = of_a.in_file_order();
    chunks_b_ = of_b.in_file_order();
}

// Nothing if the page need not be read.
const ImageComparison::Pair* ImageComparison::pair_of(const ImagePageRef& page, uint32_t Pair::*side) const {
    for (const auto& pair : pairs_)
        if (pair.*side == page.block)
            return page.page < pair.pages && look(pair, page.page) == Page::to_read ? &pair : nullptr;
    return nullptr;
}

Result<std::vector<BlockDifference>> ImageComparison::run(unsigned threads,
                                                          std::atomic<uint64_t>& done) const {
    std::vector<std::vector<Checksum>> sums(pairs_.size());
    for (size_t i = 0; i < pairs_.size(); ++i)
        if (pairs_[i].to_read) sums[i].resize(pairs_[i].pages);
    std::vector<std::atomic<uint64_t>> changed(pairs_.size());
    const auto number = [&](const Pair* pair) { return static_cast<size_t>(pair - pairs_.data()); };

    const auto read = [&](const ImageReader& image, const std::vector<ImageChunk>& chunks,
                          uint32_t Pair::*side, const auto& take) {
        return image.for_each_of(
            chunks, threads,
            [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& pages) -> Status {
                for (size_t i = 0; i < pages.size(); ++i)
                    if (const auto* pair = pair_of(pages[i], side))
                        take(number(pair), pages[i].page,
                             checksum(data.subspan(i * image_page_size, image_page_size)));
                done += image_chunk_size;
                return {};
            });
    };
    TLC_TRY(read(a_, chunks_a_, &Pair::a,
                 [&](size_t pair, uint64_t page, const Checksum& sum) { sums[pair][page] = sum; }));
    TLC_TRY(read(b_, chunks_b_, &Pair::b, [&](size_t pair, uint64_t page, const Checksum& sum) {
        if (sums[pair][page] != sum) ++changed[pair];
    }));

    std::vector<BlockDifference> result;
    for (const auto& block : a_.blocks())
        result.push_back({block.id, block.length / image_page_size});
    for (const auto& block : b_.blocks())
        if (std::none_of(result.begin(), result.end(), [&](const auto& row) { return row.id == block.id; }))
            result.push_back({block.id, 0, block.length / image_page_size});
    for (size_t i = 0; i < pairs_.size(); ++i) {
        const auto& pair = pairs_[i];
        auto& row = result[pair.a];
        row.pages_b = b_.page_table(pair.b).size();
        row.changed = changed[i];
        for (uint64_t page = 0; page < pair.pages; ++page) {
            const auto found = look(pair, page);
            row.zero_in_a += found == Page::zero_in_a;
            row.zero_in_b += found == Page::zero_in_b;
        }
        row.equal = pair.pages - row.changed - row.zero_in_a - row.zero_in_b;
    }
    for (auto& row : result)
        row.only_in_one = std::max(row.pages_a, row.pages_b) - std::min(row.pages_a, row.pages_b);
    return result;
}

} // namespace tlc
