// SPDX-License-Identifier: GPL-2.0-or-later
// The stream is parsed here as QEMU's loadvm code parses one, and the memory compared page by page.
#include <tlc/base/files.hpp>
#include <tlc/export/migration_stream.hpp>
#include <tlc/export/output_file.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "../support/export_image.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using ::testing::HasSubstr;

struct Cursor {
    const std::string& text;
    size_t at = 0;

    uint64_t number(size_t bytes) {
        uint64_t value = 0;
        for (const char c : take(bytes))
            value = value << 8 | static_cast<unsigned char>(c);
        return value;
    }
    std::string take(size_t bytes) {
        if (at + bytes > text.size()) throw std::runtime_error("the stream ends too early");
        at += bytes;
        return text.substr(at - bytes, bytes);
    }
    std::string counted() { return take(number(1)); }
};

using Pages = std::map<std::pair<std::string, uint64_t>, std::string>;

// What follows a ram section's header: sizes, pages, the end.
void load_ram(Cursor& in, std::map<std::string, uint64_t>& sizes, Pages& pages) {
    std::string block;
    for (;;) {
        const uint64_t word = in.number(8);
        const uint64_t flags = word & 0xfff;
        const uint64_t address = word & ~uint64_t{0xfff};
        if (flags == 0x10) return;
        if (flags == 0x04) {
            for (uint64_t left = address; left > 0;) {
                const auto name = in.counted();
                sizes[name] = in.number(8);
                left -= sizes[name];
            }
            continue;
        }
        if ((flags & 0x20) == 0) block = in.counted();
        if ((flags & ~uint64_t{0x20}) == 0x02)
            ASSERT_EQ(in.number(1), 0u);
        else
            ASSERT_EQ(flags & ~uint64_t{0x20}, 0x08u);
        const auto content = (flags & 0x08) != 0 ? in.take(4096) : std::string(4096, '\0');
        ASSERT_TRUE(pages.emplace(std::pair(block, address / 4096), content).second)
            << block << " " << address;
    }
}

class MigrationStream : public ::testing::Test {
  protected:
    test::TemporaryDirectory directory;
    std::filesystem::path image = directory / "memory.h5";
    std::filesystem::path out = directory / "stream";

    Result<uint64_t> write(unsigned threads = 2) {
        TLC_TRY_ASSIGN(reader, ImageReader::open(image));
        TLC_TRY_ASSIGN(file, OutputFile::create(out));
        std::atomic<uint64_t> done{0};
        TLC_TRY_ASSIGN(bytes, write_migration_stream(reader, file.fd(), threads, done));
        EXPECT_EQ(done, reader.used_bytes());
        TLC_TRY(file.publish());
        return bytes;
    }
};

TEST_F(MigrationStream, is_what_qemu_reads) {
    ASSERT_TRUE(test::write_export_image(image));
    const auto bytes = write();
    ASSERT_TRUE(bytes) << bytes.error().message;
    const auto stream = *read_text(out);
    EXPECT_EQ(stream.size(), *bytes);
    Cursor in{stream};
    EXPECT_EQ(in.number(4), 0x5145564du);
    EXPECT_EQ(in.number(4), 3u);
    EXPECT_EQ(in.number(1), 7u);
    EXPECT_EQ(in.take(in.number(4)), "pc-q35-10.0");

    std::map<std::string, uint64_t> sizes;
    Pages pages;
    EXPECT_EQ(in.number(1), 1u);
    const auto number = in.number(4);
    EXPECT_EQ(in.counted(), "ram");
    EXPECT_EQ(in.number(4), 0u);
    EXPECT_EQ(in.number(4), 4u);
    ASSERT_NO_FATAL_FAILURE(load_ram(in, sizes, pages));
    EXPECT_EQ(in.number(1), 0x7eu);
    EXPECT_EQ(in.number(4), number);
    EXPECT_TRUE(pages.empty());
    for (const auto& block : test::export_blocks())
        EXPECT_EQ(sizes[block.id], block.length);

    EXPECT_EQ(in.number(1), 3u);
    EXPECT_EQ(in.number(4), number);
    ASSERT_NO_FATAL_FAILURE(load_ram(in, sizes, pages));
    EXPECT_EQ(in.number(1), 0x7eu);
    EXPECT_EQ(in.number(4), number);
    EXPECT_EQ(pages.size(), test::export_ram_pages + 3 + test::export_bios_pages);
    for (const auto& [place, content] : pages)
        for (uint32_t block = 0; block < 3; ++block)
            if (test::export_blocks()[block].id == place.first) {
                EXPECT_EQ(std::memcmp(test::sample_page(block, place.second).data(), content.data(), 4096),
                          0);
            }

    const auto state = test::device_state().substr(8);
    EXPECT_EQ(in.take(state.size()), state);
    EXPECT_EQ(in.number(1), 6u);
    EXPECT_EQ(in.take(in.number(4)).front(), '{');
    EXPECT_EQ(in.at, stream.size());
}

TEST_F(MigrationStream, is_the_same_with_any_number_of_threads) {
    ASSERT_TRUE(test::write_export_image(image));
    ASSERT_TRUE(write(1));
    const auto first = *read_text(out);
    std::filesystem::remove(out);
    ASSERT_TRUE(write(5));
    EXPECT_TRUE(*read_text(out) == first);
}

TEST_F(MigrationStream, needs_a_device_state_that_qemu_saved_with_footers) {
    auto state = test::device_state();
    state[state.size() - 6] = 'x';
    ASSERT_TRUE(test::write_export_image(image, state));
    auto refused = write();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::incompatible);
    EXPECT_THAT(refused.error().message, HasSubstr("footers"));
    for (const auto& bad : {std::string("short"), std::string(500, 'x')}) {
        std::filesystem::remove(image);
        ASSERT_TRUE(test::write_export_image(image, bad));
        refused = write();
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().kind, ErrorKind::incompatible);
    }
    EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(MigrationStream, of_a_damaged_image_names_the_chunk_and_leaves_nothing) {
    ASSERT_TRUE(test::write_export_image(image));
    auto content = *read_text(image);
    const auto page = test::sample_page(0, 68); // random, so it is stored as it is
    const auto at = content.find(std::string(reinterpret_cast<const char*>(page.data()), 64));
    ASSERT_NE(at, std::string::npos);
    content[at + 10] = static_cast<char>(content[at + 10] ^ 1);
    std::ofstream(image, std::ios::binary) << content;
    const auto refused = write();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::damaged);
    EXPECT_THAT(refused.error().message, HasSubstr("chunk 0 of"));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

} // namespace
} // namespace tlc
