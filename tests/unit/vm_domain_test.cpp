// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/vm/domain.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Platform, is_read_as_it_was_written_and_none_is_no_file) {
    const test::TemporaryDirectory directory;
    const auto file = directory / "platform.json";
    EXPECT_THAT(*read_platform(file), IsEmpty());
    ASSERT_TRUE(write_platform(file, {"-cpu", "Nehalem,+aes"}));
    EXPECT_THAT(*read_platform(file), ElementsAre("-cpu", "Nehalem,+aes"));
    ASSERT_TRUE(write_platform(file, {}));
    EXPECT_FALSE(std::filesystem::exists(file));
    ASSERT_TRUE(write_platform(file, {}));
}

TEST(Platform, torn_is_damaged_not_none) {
    const test::TemporaryDirectory directory;
    const auto file = directory / "platform.json";
    for (const char* text : {"", "{\"arguments\": [\"-cpu\"", "[]", "{}", "{\"arguments\": [7]}"}) {
        std::ofstream(file) << text;
        const auto platform = read_platform(file);
        ASSERT_FALSE(platform) << text;
        EXPECT_EQ(platform.error().kind, ErrorKind::damaged) << text;
    }
}

TEST(Platform, names_its_processor_without_flags) {
    EXPECT_EQ(cpu_of_platform({"-smp", "2", "-cpu", "Nehalem,+aes"}), "Nehalem");
    EXPECT_EQ(cpu_of_platform({"-smp", "2"}), "");
    EXPECT_EQ(cpu_of_platform({"-cpu"}), "");
}

TEST(Platform, of_a_program_that_is_not_there_says_what_to_do) {
    const test::TemporaryDirectory directory;
    const auto platform = platform_from_domain(directory / "tlc-domain", directory / "domain.xml", Machine{});
    ASSERT_FALSE(platform);
    EXPECT_EQ(platform.error().kind, ErrorKind::usage);
    EXPECT_THAT(platform.error().message, HasSubstr("driver = \"direct\""));
}

} // namespace
} // namespace tlc
