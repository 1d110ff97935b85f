// SPDX-License-Identifier: GPL-2.0-or-later
// FileOutput against a plain array of bytes: whatever is written in whatever order, the file holds it.
#include <tlc/base/fd.hpp>
#include <tlc/image/file_output.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <random>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

class FileOutputTest : public testing::TestWithParam<const char*> {
  protected:
    FileOutputTest() : directory_(GetParam()) {
        fd_ = *open_file(directory_ / "file", O_RDWR | O_CREAT | O_EXCL, 0600);
        output_ = std::move(*FileOutput::create(fd_.get()));
    }

    std::vector<std::byte> noise(size_t size) {
        std::vector<std::byte> data(size);
        std::generate(data.begin(), data.end(), [&] { return static_cast<std::byte>(random_()); });
        return data;
    }
    void write(uint64_t offset, size_t size) {
        const auto data = noise(size);
        ASSERT_TRUE(output_->write(offset, data));
        if (expected_.size() < offset + size) expected_.resize(offset + size);
        std::copy(data.begin(), data.end(), expected_.begin() + static_cast<ptrdiff_t>(offset));
    }
    std::vector<std::byte> content() {
        std::vector<std::byte> data(expected_.size());
        EXPECT_TRUE(read_at(fd_.get(), data, 0));
        return data;
    }
    uint64_t below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random_); }

    test::TemporaryDirectory directory_;
    Fd fd_;
    std::unique_ptr<FileOutput> output_;
    std::vector<std::byte> expected_;
    std::mt19937_64 random_{7};
};

TEST_P(FileOutputTest, holds_what_was_written_in_any_order) {
    for (int step = 0; step < 400; ++step) {
        const size_t size = 1 + below(step % 50 == 0 ? 3'000'000 : 70'000);
        switch (below(8)) {
        case 0: // again, somewhere
            if (!expected_.empty()) write(below(expected_.size()), size);
            break;
        case 1: // with a gap
            write(expected_.size() + below(100'000), size);
            break;
        case 2: {
            std::vector<std::byte> found(size);
            const uint64_t offset = below(expected_.size() + 1);
            ASSERT_TRUE(output_->read(offset, found));
            const size_t there = std::min<size_t>(size, expected_.size() - offset);
            const auto begin = expected_.begin() + static_cast<ptrdiff_t>(offset);
            EXPECT_TRUE(std::equal(begin, begin + static_cast<ptrdiff_t>(there), found.begin()));
            EXPECT_TRUE(std::all_of(found.begin() + static_cast<ptrdiff_t>(there), found.end(),
                                    [](std::byte b) { return b == std::byte{0}; }));
            break;
        }
        default:
            write(expected_.size(), size);
        }
        EXPECT_EQ(output_->end(), expected_.size());
    }
    ASSERT_TRUE(output_->drain());
    EXPECT_TRUE(content() == expected_);
    write(expected_.size(), 5'000'000);
    ASSERT_TRUE(output_->drain());
    EXPECT_TRUE(content() == expected_);
}

TEST_P(FileOutputTest, tells_of_an_error_and_goes_on_telling) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{3'000'000, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto data = noise(8'000'000);
    Status status;
    for (int i = 0; i < 3 && status; ++i)
        status = output_->write(output_->end(), data);
    if (status) status = output_->drain();
    EXPECT_FALSE(status);
    EXPECT_FALSE(output_->drain());
    EXPECT_FALSE(output_->write(0, data));
    EXPECT_FALSE(output_->state());
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
}

TEST_P(FileOutputTest, drops_what_it_is_told_to_drop) {
    write(0, 100'000);
    output_->discard();
    EXPECT_TRUE(output_->write(100'000, noise(100'000)));
    EXPECT_TRUE(output_->drain());
    EXPECT_EQ(output_->end(), 100'000U);
}

// A disk, where windows go past the page cache, and memory, where they may not.
INSTANTIATE_TEST_SUITE_P(FileSystems, FileOutputTest, testing::Values("/var/tmp", "/dev/shm"));

} // namespace
} // namespace tlc
