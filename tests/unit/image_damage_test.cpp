// SPDX-License-Identifier: GPL-2.0-or-later
// Damage is found or does no harm: whatever opens and reads without an error gives exactly what was written.
#include <tlc/base/files.hpp>
#include <tlc/image/reader.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <hdf5.h>
#include <unistd.h>

#include "../support/sample_image.hpp"
#include "../support/temporary_directory.hpp"

// HDF5 loses memory of its own when it refuses a damaged file.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace tlc {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr uint64_t pages = 40;

// Nothing if the image reads as it was written, the error if it is refused, an exception if it reads as
// something else.
std::optional<Error> read_all(const std::filesystem::path& path, const std::string& digest) {
    const auto reader = ImageReader::open(path, digest);
    if (!reader) return reader.error();
    const auto state = test::sample_device_state();
    bool same =
        reader->info() == test::sample_info() && reader->blocks() == test::sample_blocks(pages) &&
        std::equal(state.begin(), state.end(), reader->device_state().begin(), reader->device_state().end());
    size_t found = 0;
    const auto walked = reader->for_each_chunk(
        1, [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& refs) -> Status {
            for (size_t i = 0; i < refs.size(); ++i) {
                if (refs[i].block == ImagePageRef::no_block) continue;
                ++found;
                const auto expected = test::sample_page(refs[i].block, refs[i].page);
                same = same &&
                       std::memcmp(expected.data(), data.data() + i * image_page_size, image_page_size) == 0;
            }
            return {};
        });
    if (!walked) return walked.error();
    if (!same || found != 26 + 24) throw std::runtime_error("wrong content was returned");
    return std::nullopt;
}

class ImageDamage : public ::testing::Test {
  protected:
    test::TemporaryDirectory directory;
    std::filesystem::path path = directory / "memory.h5";
    std::string digest;
    std::string content;

    void SetUp() override {
        const auto summary = test::write_sample(path, pages, 1);
        ASSERT_TRUE(summary) << summary.error().message;
        digest = summary->digest;
        content = *read_text(path);
        ASSERT_EQ(read_all(path, digest), std::nullopt);
    }

    void write(const std::string& bytes) {
        std::filesystem::remove(path); // truncating would make the file system write it out at once
        std::ofstream(path, std::ios::binary) << bytes;
    }

    // Changes an attribute of the root with the library itself.
    void set_number(const char* name, uint64_t value) {
        const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
        const hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
        EXPECT_GE(H5Awrite(attribute, H5T_NATIVE_UINT64, &value), 0);
        H5Aclose(attribute);
        H5Fclose(file);
    }
    void set_numbers(const char* name, const std::vector<uint64_t>& values) {
        const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
        const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
        EXPECT_GE(H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
        H5Dclose(dataset);
        H5Fclose(file);
    }
};

TEST_F(ImageDamage, of_single_bits_is_found_or_harmless) {
    size_t found = 0;
    size_t harmless = 0;
    // The metadata stands in the first and last 4 KiB: more samples there than in between. The bit varies.
    std::vector<size_t> places;
    for (size_t at = 0; at < content.size(); at += at < 4096 || at + 4096 > content.size() ? 7 : 197)
        places.push_back(at);
    for (const size_t at : places) {
        std::string broken = content;
        broken[at] = static_cast<char>(broken[at] ^ (1 << (at % 8)));
        write(broken);
        const auto error = read_all(path, digest);
        error ? ++found : ++harmless;
        if (error) {
            EXPECT_THAT(error->kind, AnyOf(ErrorKind::damaged, ErrorKind::incompatible)) << at;
            EXPECT_THAT(error->message, HasSubstr("memory.h5")) << at;
        }
    }
    RecordProperty("found", static_cast<int>(found));
    RecordProperty("harmless", static_cast<int>(harmless));
    EXPECT_GT(found, places.size() / 2);
}

TEST_F(ImageDamage, by_truncation_is_found) {
    for (size_t size = 0; size < content.size(); size += 997) {
        write(content.substr(0, size));
        const auto error = read_all(path, digest);
        ASSERT_TRUE(error) << size;
        EXPECT_EQ(error->kind, ErrorKind::damaged) << size;
    }
}

TEST_F(ImageDamage, of_a_chunk_names_the_chunk) {
    // The random pages are stored as they are, so one can be found in the file.
    const auto page = test::sample_page(1, 35);
    const auto at = content.find(std::string(reinterpret_cast<const char*>(page.data() + 64), 128));
    ASSERT_NE(at, std::string::npos);
    std::string broken = content;
    broken[at] ^= 1;
    write(broken);
    const auto error = read_all(path, digest);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->message, fmt::format("chunk 3 of {}: checksum does not match", path.string()));
    EXPECT_EQ(error->kind, ErrorKind::damaged);
}

TEST_F(ImageDamage, of_a_missing_or_foreign_file_is_named) {
    write("no HDF5 in here");
    EXPECT_THAT(read_all(path, digest)->message, HasSubstr("not an HDF5 file"));
    std::filesystem::remove(path);
    EXPECT_EQ(read_all(path, digest)->kind, ErrorKind::damaged);
}

TEST_F(ImageDamage, includes_another_whole_image) {
    const auto error = read_all(path, std::string(32, '0'));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::damaged);
    EXPECT_THAT(error->message, HasSubstr("not the image that was saved"));
}

TEST_F(ImageDamage, in_a_number_that_has_no_checksum_is_found_by_the_digest) {
    set_number("pause_ns", 8'000'000);
    EXPECT_TRUE(ImageReader::open(path));
    EXPECT_EQ(read_all(path, digest)->kind, ErrorKind::damaged);
}

TEST_F(ImageDamage, is_told_from_a_newer_format) {
    set_number("format_version", 3);
    const auto error = read_all(path, digest);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::incompatible);
    EXPECT_THAT(error->message, HasSubstr("use a newer one"));
    set_number("format_version", 0);
    EXPECT_EQ(read_all(path, digest)->kind, ErrorKind::damaged);
    set_number("format_version", 2); // which has older files
    EXPECT_THAT(read_all(path, digest)->message, HasSubstr("format version 2"));
}

TEST_F(ImageDamage, of_a_page_table_is_found) {
    std::vector<uint64_t> table(37);
    set_numbers("ram/1/page_table", table);
    EXPECT_THAT(read_all(path, "")->message, HasSubstr("checksum of page_table"));
}

// A write that fails half way: the error is passed on, later calls fail too, nothing stays behind.
TEST(ImageWriterFailure, removes_the_file_when_it_cannot_grow) {
    const test::TemporaryDirectory directory;
    const auto path = directory / "memory.h5";
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const auto summary = test::write_sample(path, 4000, 2);
        const bool right = !summary && summary.error().message.find("File too large") != std::string::npos &&
                           !std::filesystem::exists(path);
        if (!right) fmt::print(stderr, "{}\n", summary ? "it worked" : summary.error().message);
        ::_exit(right ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace tlc
