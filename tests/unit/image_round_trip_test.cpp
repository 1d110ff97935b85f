// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/chunk_codec.hpp>
#include <tlc/image/reader.hpp>
#include <tlc/image/writer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <mutex>
#include <set>

#include "../support/sample_image.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using test::sample_page;
using ::testing::HasSubstr;

class ImageRoundTrip : public ::testing::TestWithParam<unsigned> {
  protected:
    test::TemporaryDirectory directory;
};

TEST_P(ImageRoundTrip, gives_back_what_was_written) {
    const auto path = directory / "memory.h5";
    constexpr uint64_t pages = 1003;
    const auto summary = test::write_sample(path, pages, GetParam());
    ASSERT_TRUE(summary) << summary.error().message;
    EXPECT_EQ(summary->pages_stored + summary->pages_zero, pages + 37);
    EXPECT_EQ(summary->pages_stored, 668u + 24u);
    EXPECT_EQ(summary->file_bytes, std::filesystem::file_size(path));
    EXPECT_LT(summary->stored_bytes, summary->pages_stored * image_page_size);

    const auto reader = ImageReader::open(path, summary->digest);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->info(), test::sample_info());
    EXPECT_EQ(reader->blocks(), test::sample_blocks(pages));
    EXPECT_EQ(reader->counters().pause_ns, 7'000'000u);
    EXPECT_EQ(reader->counters().further.at("faults"), 12u);
    const auto state = test::sample_device_state();
    EXPECT_TRUE(
        std::equal(state.begin(), state.end(), reader->device_state().begin(), reader->device_state().end()));

    std::mutex mutex;
    std::set<std::pair<uint32_t, uint64_t>> seen;
    const auto walked = reader->for_each_chunk(
        GetParam(),
        [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& refs) -> Status {
            for (size_t i = 0; i < refs.size(); ++i) {
                if (refs[i].block == ImagePageRef::no_block) continue;
                const auto expected = sample_page(refs[i].block, refs[i].page);
                if (std::memcmp(expected.data(), data.data() + i * image_page_size, image_page_size) != 0)
                    return fail("page {} of block {} differs", refs[i].page, refs[i].block);
                const std::lock_guard lock(mutex);
                seen.emplace(refs[i].block, refs[i].page);
            }
            return {};
        });
    EXPECT_TRUE(walked) << walked.error().message;
    EXPECT_EQ(seen.size(), summary->pages_stored);
    for (uint32_t block = 0; block < 2; ++block) {
        const auto table = reader->page_table(block);
        for (uint64_t page = 0; page < table.size(); ++page)
            EXPECT_EQ(table[page] == 0, page % 3 == 0) << block << " " << page;
    }
}

INSTANTIATE_TEST_SUITE_P(threads, ImageRoundTrip, ::testing::Values(1u, 2u, 5u));

class ImageFile : public ::testing::Test {
  protected:
    test::TemporaryDirectory directory;
    std::filesystem::path path = directory / "memory.h5";

    Result<ImageWriter> writer(uint64_t pages = 20) {
        return ImageWriter::create(path, test::sample_info(), test::sample_blocks(pages));
    }
};

TEST_F(ImageFile, of_an_untouched_machine_holds_no_page) {
    auto image = writer();
    ASSERT_TRUE(image) << image.error().message;
    image->lane();
    ASSERT_TRUE(image->set_device_state({}));
    const auto summary = image->finish({});
    ASSERT_TRUE(summary) << summary.error().message;
    EXPECT_EQ(summary->pages_stored, 0u);
    const auto reader = ImageReader::open(path, summary->digest);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->chunk_count(), 0u);
    EXPECT_TRUE(reader->device_state().empty());
    EXPECT_TRUE(reader->for_each_chunk(4, [](auto, auto, const auto&) { return Status{}; }));
}

TEST_F(ImageFile, takes_the_last_of_two_versions_of_a_page) {
    auto image = writer();
    ASSERT_TRUE(image);
    auto& lane = image->lane();
    ASSERT_TRUE(lane.add(0, 4, sample_page(0, 1)));
    ASSERT_TRUE(lane.add(0, 4, sample_page(0, 2)));
    ASSERT_TRUE(lane.add(0, 5, sample_page(0, 1)));
    ASSERT_TRUE(lane.add(0, 5, sample_page(0, 0)));
    ASSERT_TRUE(image->set_device_state({}));
    const auto summary = image->finish({});
    ASSERT_TRUE(summary) << summary.error().message;
    const auto reader = ImageReader::open(path, summary->digest);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->page_table(0)[4], 2u);
    EXPECT_EQ(reader->page_table(0)[5], 0u);
    std::vector<std::byte> chunk(image_chunk_size);
    ASSERT_TRUE(reader->read_chunk({0, 0}, chunk));
    EXPECT_EQ(std::memcmp(chunk.data() + image_page_size, sample_page(0, 2).data(), image_page_size), 0);
    EXPECT_EQ(reader->chunk_pages({0, 0})[0].block, ImagePageRef::no_block);
    EXPECT_EQ(reader->chunk_pages({0, 0})[1].page, 4u);
}

TEST_F(ImageFile, is_private_and_never_overwrites) {
    ASSERT_TRUE(test::write_sample(path, 20, 1));
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    const auto again = writer();
    ASSERT_FALSE(again);
    EXPECT_THAT(again.error().message, HasSubstr("memory.h5"));
    EXPECT_TRUE(ImageReader::open(path));
}

TEST_F(ImageFile, that_was_not_finished_is_removed) {
    {
        auto image = writer();
        ASSERT_TRUE(image);
        ASSERT_TRUE(image->lane().add(0, 0, sample_page(0, 2)));
        EXPECT_TRUE(std::filesystem::exists(path));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ImageFile, needs_a_device_state) {
    auto image = writer();
    ASSERT_TRUE(image);
    const auto summary = image->finish({});
    ASSERT_FALSE(summary);
    EXPECT_THAT(summary.error().message, HasSubstr("device state"));
}

TEST_F(ImageFile, refuses_pages_outside_a_block) {
    auto image = writer();
    ASSERT_TRUE(image);
    auto& lane = image->lane();
    const auto page = sample_page(0, 1);
    EXPECT_FALSE(lane.add(2, 0, page));
    EXPECT_FALSE(lane.add(0, 20, page));
    EXPECT_FALSE(lane.add(0, UINT64_MAX, page));
    EXPECT_FALSE(lane.add(0, 0, std::span(page).first(100)));
    EXPECT_TRUE(lane.add(0, 19, page));
}

TEST_F(ImageFile, refuses_impossible_blocks_and_texts) {
    EXPECT_FALSE(ImageWriter::create(path, {}, {}));
    EXPECT_FALSE(ImageWriter::create(path, {}, {{"a", 4097, 4096}}));
    EXPECT_FALSE(ImageWriter::create(path, {}, {{"a", 4096, 4096}, {"a", 4096, 4096}}));
    ImageInfo two_lines;
    two_lines.identity = "a\nb";
    EXPECT_FALSE(ImageWriter::create(path, two_lines, {{"a", 4096, 4096}}));
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(ImageWriter::create(path, {}, {{"a", 4096, 4096}}));
}

TEST(ChunkCodec, stores_random_data_raw_and_refuses_damage) {
    std::vector<std::byte> chunk(chunk_header_size);
    for (uint64_t i = 0; i < image_chunk_pages; ++i) {
        const auto page = sample_page(0, 3 * i + 2);
        chunk.insert(chunk.end(), page.begin(), page.end());
    }
    const auto content = [&] { return std::vector(chunk.begin() + chunk_header_size, chunk.end()); };
    std::vector<std::byte> space(stored_chunk_max);
    std::vector<std::byte> out(image_chunk_size);
    const auto raw = encode_chunk(chunk, space, true);
    EXPECT_EQ(raw.size(), stored_chunk_max);
    ASSERT_TRUE(decode_chunk(raw, out));
    EXPECT_EQ(out, content());

    std::fill(chunk.begin() + chunk_header_size + image_page_size, chunk.end(), std::byte{1});
    const auto stored = encode_chunk(chunk, space, true);
    ASSERT_LT(stored.size(), 3 * image_page_size);
    ASSERT_TRUE(decode_chunk(stored, out));
    EXPECT_EQ(out, content());
    for (const size_t cut : {size_t{0}, size_t{16}, size_t{17}, stored.size() - 1})
        EXPECT_FALSE(decode_chunk(stored.first(cut), out)) << cut;
    for (size_t at = 0; at < chunk_header_size; ++at) {
        std::vector<std::byte> broken(stored.begin(), stored.end());
        broken[at] ^= std::byte{0x40};
        EXPECT_FALSE(decode_chunk(broken, out)) << at;
    }
}

TEST(ZeroPage, is_told_from_one_set_bit_anywhere) {
    test::Page page{};
    EXPECT_TRUE(is_zero_page(page.data()));
    for (size_t at = 0; at < page.size(); ++at) {
        page[at] = std::byte{0x80};
        EXPECT_FALSE(is_zero_page(page.data())) << at;
        page[at] = std::byte{0};
    }
}

} // namespace
} // namespace tlc
