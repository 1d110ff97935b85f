// SPDX-License-Identifier: GPL-2.0-or-later
// Images that hold only what has changed: read back through every file they refer to, against a plain copy of
// the memory; and what happens when one of those files is not what it was.
#include <tlc/image/reader.hpp>
#include <tlc/image/writer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "../support/sample_image.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using test::Page;
using testing::HasSubstr;

constexpr uint64_t pages = 400;

std::string identity(unsigned n) { return fmt::format("7d2f8a52-9f0b-4a63-b9d7-{:012x}", n); }

// A memory of one block and the images taken of it, each in a directory of its own as checkpoints are.
class ImageChain : public testing::Test {
  protected:
    // Adds `touched` pages, changed or not, to the next image.
    ImageSummary save(const std::vector<uint64_t>& touched) {
        ++taken;
        ImageInfo info = test::sample_info();
        info.identity = identity(taken);
        info.parent_identity = base ? base->identity : "";
        std::filesystem::create_directory(directory / std::to_string(taken));
        if (base)
            for (const auto& file : base->older) {
                const auto name = older_file_name(file.identity);
                const auto from = file.identity == base->identity ? "memory.h5" : name;
                std::filesystem::create_hard_link(directory / std::to_string(taken - 1) / from,
                                                  directory / std::to_string(taken) / name);
            }
        auto writer = ImageWriter::create_in_chain(path(taken), info, {{"ram", pages * image_page_size}},
                                                   std::move(base));
        EXPECT_TRUE(writer);
        auto& lane = writer->lane();
        for (const uint64_t page : touched)
            EXPECT_TRUE(lane.add(0, page, memory[page]));
        EXPECT_TRUE(writer->set_device_state(test::sample_device_state()));
        auto summary = writer->finish({});
        EXPECT_TRUE(summary) << summary.error().message;
        base = writer->take_base();
        return *summary;
    }
    std::filesystem::path path(unsigned n) { return directory / std::to_string(n) / "memory.h5"; }

    // Empty when the image is the memory.
    static std::string difference(const std::filesystem::path& file, const ImageSummary& summary,
                                  const std::vector<Page>& expected) {
        const auto reader = ImageReader::open(file, summary.digest);
        if (!reader) return reader.error().message;
        std::vector<Page> found(pages, Page{});
        const auto walked = reader->for_each_chunk(
            3,
            [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& refs) -> Status {
                for (size_t i = 0; i < refs.size(); ++i)
                    if (refs[i].block != ImagePageRef::no_block)
                        std::memcpy(found[refs[i].page].data(), data.data() + i * image_page_size,
                                    image_page_size);
                return {};
            });
        if (!walked) return walked.error().message;
        for (uint64_t page = 0; page < pages; ++page)
            if (found[page] != expected[page]) return fmt::format("page {} differs", page);
        return "";
    }
    static std::vector<uint64_t> all() {
        std::vector<uint64_t> list(pages);
        for (uint64_t i = 0; i < pages; ++i)
            list[i] = i;
        return list;
    }

    test::TemporaryDirectory directory;
    std::vector<Page> memory = [] {
        std::vector<Page> out;
        for (uint64_t page = 0; page < pages; ++page)
            out.push_back(test::sample_page(0, page));
        return out;
    }();
    std::optional<ImageBase> base;
    unsigned taken = 0;
};

TEST_F(ImageChain, HoldsOnlyWhatHasChanged) {
    const auto first = save(all());
    EXPECT_TRUE(first.older.empty());
    memory[7] = test::sample_page(1, 7);
    memory[9] = Page{};
    const auto second = save({5, 6, 7, 8, 9}); // of which two have changed
    EXPECT_EQ(second.pages_stored, 1U);
    EXPECT_EQ(second.pages_older, first.pages_stored - 1);
    ASSERT_EQ(second.older.size(), 1U);
    EXPECT_EQ(second.older[0].identity, identity(1));
    EXPECT_EQ(difference(path(2), second, memory), "");
    const auto third = save({}); // and nothing at all
    EXPECT_EQ(third.pages_stored, 0U);
    EXPECT_EQ(difference(path(3), third, memory), "");
}

TEST_F(ImageChain, AnyImageOfARandomChainIsTheMemoryOfItsTime) {
    std::mt19937 random(7);
    for (unsigned round = 0; round < 5; ++round) {
        base.reset();
        for (unsigned n = 0; n < 12; ++n) {
            std::vector<uint64_t> touched = all();
            if (base) {
                touched.clear();
                for (uint64_t page = random() % 5; page < pages; page += 1 + random() % (round * 40 + 2)) {
                    touched.push_back(page);
                    if (random() % 3 > 0)
                        memory[page] = test::sample_page(static_cast<uint32_t>(2 + random() % 50), random());
                    if (random() % 9 == 0) memory[page] = Page{};
                }
            }
            const auto summary = save(touched);
            ASSERT_EQ(difference(path(taken), summary, memory), "") << "round " << round << " image " << n;
            ASSERT_LE(summary.older.size(), n);
        }
    }
}

TEST_F(ImageChain, DropsFilesThatNoPageIsInAnyMore) {
    save(all());
    for (uint64_t page = 0; page < pages; ++page)
        memory[page] = test::sample_page(3, page + 1);
    const auto second = save(all());
    EXPECT_TRUE(second.older.empty());
    EXPECT_EQ(difference(path(2), second, memory), "");
}

TEST_F(ImageChain, AnotherFileInThePlaceOfAnOlderOneIsDamage) {
    save(all());
    memory[7] = test::sample_page(1, 7);
    const auto second = save({7});
    const auto older = directory / "2" / older_file_name(identity(1));
    const auto refusal = [&] { return difference(path(2), second, memory); };

    std::filesystem::rename(older, directory / "aside");
    EXPECT_THAT(refusal(), HasSubstr("older-7d2f8a52"));
    std::filesystem::copy_file(path(2), older);
    EXPECT_THAT(refusal(), HasSubstr("not the older file"));
    std::filesystem::remove(older);
    std::filesystem::copy_file(directory / "aside", older);
    EXPECT_EQ(refusal(), "");
    // One bit of its stored pages.
    std::fstream file(older, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(older) / 2));
    const char before = static_cast<char>(file.peek());
    file.put(static_cast<char>(before ^ 1));
    file.close();
    EXPECT_THAT(refusal(), HasSubstr("checksum does not match"));
}

TEST_F(ImageChain, ABaseOfOtherMemoryIsRefused) {
    save(all());
    const auto writer =
        ImageWriter::create_in_chain(directory / "other.h5", test::sample_info(),
                                     {{"ram", (pages + 1) * image_page_size}}, std::move(base));
    ASSERT_FALSE(writer);
    EXPECT_EQ(writer.error().kind, ErrorKind::usage);
    EXPECT_FALSE(std::filesystem::exists(directory / "other.h5"));
}

} // namespace
} // namespace tlc
