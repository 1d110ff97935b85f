// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/process.hpp>
#include <tlc/disk/image_files.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using ::testing::HasSubstr;

TEST(ImageNames, are_understood) {
    const auto first = parse_image_name("root.qcow2");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->drive, "root");
    EXPECT_EQ(first->number, 0u);
    const auto later = parse_image_name("work-12.qcow2");
    ASSERT_TRUE(later);
    EXPECT_EQ(later->drive, "work");
    EXPECT_EQ(later->number, 12u);
    EXPECT_EQ(overlay_name("work", 12), "work-12.qcow2");
    EXPECT_TRUE(parse_image_name("work.img")->raw());
    for (const char* name : {"stdout", "", ".qcow2", "../root.qcow2", "/root.qcow2", "work.img.repaired"})
        EXPECT_FALSE(parse_image_name(name)) << name;
}

TEST(GuestImages, say_their_format_in_their_first_bytes) {
    const test::TemporaryDirectory directory;
    const auto format_of = [&](std::string_view content) {
        std::ofstream(directory / "image") << content;
        return *guest_image_format(directory / "image");
    };
    EXPECT_EQ(format_of("QFI\xfb and more"), "qcow2");
    EXPECT_EQ(format_of("XFSB"), "raw");
    EXPECT_EQ(format_of("QFI"), "raw");
    EXPECT_EQ(format_of(""), "raw");
    EXPECT_FALSE(guest_image_format(directory / "none"));
}

TEST(ImageChains, damaged_ones_are_refused) {
    if (!run({"qemu-img", "--version"})) GTEST_SKIP() << "qemu-img is not installed";
    const test::TemporaryDirectory directory;
    const auto& live = directory.path();
    std::ofstream(live / "root.qcow2") << "";

    std::ofstream(live / "root-1.qcow2") << "QFI?";
    EXPECT_EQ(read_chain(live, *newest_image(live, "root")).error().kind, ErrorKind::damaged);
    for (const char* below : {"root-1.qcow2", "root-3.qcow2", "work.img", "../root.qcow2", "stdout"}) {
        const auto made = run({"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below,
                               (live / "root-1.qcow2").string(), "4M"});
        ASSERT_TRUE(made && made->status.code == 0);
        const auto chain = read_chain(live, *newest_image(live, "root"));
        ASSERT_FALSE(chain) << below;
        EXPECT_EQ(chain.error().kind, ErrorKind::damaged);
        EXPECT_THAT(chain.error().message, HasSubstr(below));
    }
    EXPECT_EQ(newest_image(live, "swap").error().kind, ErrorKind::damaged);
}

} // namespace
} // namespace tlc
