// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/difference.hpp>
#include <tlc/image/writer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/sample_image.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using test::sample_page;
using ::testing::ElementsAre;

constexpr uint64_t pages = 50;

std::string identity(unsigned n) { return fmt::format("7d2f8a52-9f0b-4a63-b9d7-{:012x}", n); }
std::vector<ImageBlock> ram(uint64_t count = pages) { return {{"pc.ram", count * image_page_size, 4096}}; }

class ImageDifferenceTest : public ::testing::Test {
  protected:
    test::TemporaryDirectory directory;

    // Image n holds page p as content(p) says: the number of a sample page, zero for one that is a multiple
    // of 3.
    ImageReader write(unsigned n, const std::function<uint64_t(uint64_t)>& content,
                      std::vector<ImageBlock> blocks = ram()) {
        std::filesystem::create_directory(directory / std::to_string(n));
        auto info = test::sample_info();
        info.identity = identity(n);
        const auto path = directory / std::to_string(n) / "memory.h5";
        auto writer = ImageWriter::create(path, info, blocks);
        EXPECT_TRUE(writer);
        auto& lane = writer->lane();
        for (uint64_t page = 0; page < blocks[0].length / image_page_size; ++page)
            EXPECT_TRUE(lane.add(0, page, sample_page(0, content(page))));
        EXPECT_TRUE(writer->set_device_state({}));
        EXPECT_TRUE(writer->finish({}));
        auto reader = ImageReader::open(path);
        EXPECT_TRUE(reader);
        return std::move(*reader);
    }
    static std::vector<BlockDifference> compare(const ImageReader& a, const ImageReader& b) {
        const ImageComparison comparison(a, b);
        std::atomic<uint64_t> done{0};
        auto result = comparison.run(3, done);
        EXPECT_TRUE(result) << result.error().message;
        EXPECT_EQ(done, comparison.bytes());
        return *result;
    }
};

uint64_t itself(uint64_t page) { return page; }

TEST_F(ImageDifferenceTest, an_image_is_equal_to_itself_without_being_read) {
    const auto image = write(1, itself);
    EXPECT_EQ(ImageComparison(image, image).bytes(), 0u);
    EXPECT_THAT(compare(image, image), ElementsAre(BlockDifference{"pc.ram", pages, pages, pages}));
}

TEST_F(ImageDifferenceTest, equal_content_is_equal_wherever_it_is) {
    const auto a = write(1, itself);
    const auto b = write(2, itself);
    EXPECT_GT(ImageComparison(a, b).bytes(), 0u);
    EXPECT_THAT(compare(a, b), ElementsAre(BlockDifference{"pc.ram", pages, pages, pages}));
}

TEST_F(ImageDifferenceTest, counts_what_changed) {
    const auto a = write(1, itself);
    // Pages 0, 3 and 6 were zero, 1 and 4 become zero, 2, 5 and 8 are other ones.
    const auto b = write(2, [](uint64_t page) {
        return page == 0 || page == 3 || page == 6   ? page + 1
               : page == 1 || page == 4              ? 0
               : page == 2 || page == 5 || page == 8 ? page + 300
                                                     : page;
    });
    EXPECT_THAT(compare(a, b), ElementsAre(BlockDifference{"pc.ram", pages, pages, pages - 8, 3, 3, 2}));
    EXPECT_THAT(compare(b, a), ElementsAre(BlockDifference{"pc.ram", pages, pages, pages - 8, 3, 2, 3}));
}

TEST_F(ImageDifferenceTest, blocks_need_not_be_the_same) {
    const auto a = write(1, itself);
    auto blocks = ram(pages + 7);
    blocks.push_back({"new", 2 * image_page_size, 4096});
    const auto b = write(2, itself, blocks);
    EXPECT_THAT(compare(a, b), ElementsAre(BlockDifference{"pc.ram", pages, pages + 7, pages, 0, 0, 0, 7},
                                           BlockDifference{"new", 0, 2, 0, 0, 0, 0, 2}));
}

TEST_F(ImageDifferenceTest, what_an_incremental_image_has_in_older_files_is_not_read) {
    std::optional<ImageBase> base;
    std::vector<ImageReader> images;
    for (unsigned n = 1; n <= 2; ++n) {
        auto info = test::sample_info();
        info.identity = identity(n);
        info.parent_identity = n == 1 ? "" : identity(1);
        std::filesystem::create_directory(directory / std::to_string(n));
        if (n == 2)
            std::filesystem::create_hard_link(directory / "1" / "memory.h5",
                                              directory / "2" / older_file_name(identity(1)));
        const auto path = directory / std::to_string(n) / "memory.h5";
        auto writer = ImageWriter::create_in_chain(path, info, ram(), std::move(base));
        ASSERT_TRUE(writer);
        auto& lane = writer->lane();
        for (uint64_t page = 0; page < pages; ++page)
            if (n == 1 || page == 20) {
                ASSERT_TRUE(lane.add(0, page, sample_page(0, n == 1 ? page : 320)));
            }
        ASSERT_TRUE(writer->set_device_state({}));
        ASSERT_TRUE(writer->finish({}));
        base = writer->take_base();
        auto reader = ImageReader::open(path);
        ASSERT_TRUE(reader) << reader.error().message;
        images.push_back(std::move(*reader));
    }
    // One chunk of each has page 20.
    EXPECT_EQ(ImageComparison(images[0], images[1]).bytes(), 2 * image_chunk_size);
    EXPECT_THAT(compare(images[0], images[1]),
                ElementsAre(BlockDifference{"pc.ram", pages, pages, pages - 1, 1}));
}

} // namespace
} // namespace tlc
