// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/supervisor/host_check.hpp>
#include <tlc/supervisor/incarnation.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using testing::HasSubstr;

class HostCheck : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(publish_text(directory / "image", "x"));
        manifest.image = *describe_image(directory / "image");
        manifest.vm.accel = "tcg";
        manifest.vm.cpu = "max";
        manifest.vm.machine = "pc-q35-10.0";
        config.paths.qemu = (directory / "qemu").string();
        qemu("echo 'Supported machines are:'; echo 'pc-q35-10.0          Standard PC'");
    }
    void qemu(const std::string& script) {
        ASSERT_TRUE(publish_text(directory / "qemu", "#!/bin/sh\n" + script + "\n"));
        std::filesystem::permissions(directory / "qemu", std::filesystem::perms::owner_all);
    }
    void expect_refused(const std::string& why) {
        const auto refused = check_host_and_qemu(manifest, config, -1);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().kind, ErrorKind::incompatible);
        EXPECT_THAT(refused.error().message, HasSubstr(why));
    }

    test::TemporaryDirectory temporary;
    std::filesystem::path directory = temporary.path();
    Manifest manifest;
    SiteConfig config;
};

TEST_F(HostCheck, HasNothingAgainstTheHostItWasTakenOn) {
    EXPECT_TRUE(check_host_and_qemu(manifest, config, -1));
}

TEST_F(HostCheck, NeedsTheMachineTypeByItsWholeName) {
    qemu("echo 'pc-q35-9.2           Standard PC'; echo 'pc-q35-10.0.1        Standard PC'");
    expect_refused("has no machine type pc-q35-10.0");
}

TEST_F(HostCheck, NeedsAQemuThatRuns) {
    qemu("echo 'no library'; exit 127");
    expect_refused("QEMU does not run: no library");
}

TEST_F(HostCheck, NeedsTheSameGuestImage) {
    manifest.image.size += 1;
    expect_refused("is not the one the job was started with");
    manifest.image.path = directory / "missing";
    expect_refused("needs the guest image");
}

TEST_F(HostCheck, NeedsTheFlagsThatTheGuestMayHaveSeen) {
    const HostCpu here{"small", {"fpu", "sse2"}};
    manifest.job["host"] = {{"cpu_model", "large"}, {"cpu_flags", "fpu sse2 avx512f"}};
    EXPECT_TRUE(check_cpu(manifest, here)); // emulated: the guest saw another one
    manifest.vm.accel = "kvm";
    manifest.vm.cpu = "host";
    const auto refused = check_cpu(manifest, here);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::incompatible);
    EXPECT_THAT(refused.error().message, HasSubstr("lacks: avx512f;"));
    EXPECT_TRUE(check_cpu(manifest, HostCpu{"larger", {"fpu", "sse2", "avx512f", "amx"}}));
}

} // namespace
} // namespace tlc
