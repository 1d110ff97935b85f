// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/config/config.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <unistd.h>

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class Config : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/tlc-config-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        directory = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    tlc::Result<tlc::SiteConfig> load(const std::string& text) {
        const auto written = tlc::publish_text(directory / "tlc.toml", text);
        EXPECT_TRUE(written);
        return tlc::load_config(directory / "tlc.toml");
    }
    std::string error(const std::string& text) {
        const auto config = load(text);
        return config ? "no error" : config.error().message;
    }
    std::filesystem::path directory;
};

TEST_F(Config, EmptyFileIsTheDefault) {
    const auto config = load("");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->source, (directory / "tlc.toml").string());
    EXPECT_EQ(config->vm.machine, "pc-q35-10.0");
    EXPECT_EQ(config->job.keep, 2u);
    EXPECT_EQ(config->paths.qemu, tlc::default_config().paths.qemu);
    EXPECT_EQ(config->automatic.node_mtbf, std::chrono::hours(720));
    EXPECT_EQ(config->automatic.max_interval.count(), 0);
    EXPECT_EQ(tlc::describe(*load(tlc::describe(*config))), tlc::describe(*config));
}

TEST_F(Config, EveryKey) {
    const auto config = load(R"(
[paths]
qemu = "/q"
firmware = ["/f1", "/f2"]
kernel = "/k"
initramfs = "/i"
engine = "/e"
guest_image = "/g"
checkpoint_dir = "/c"
local_dir = "/l"
metrics_dir = "/m"
[vm]
accel = "tcg"
cpu = "max"
machine = "pc-q35-9.2"
overhead = "300M"
driver = "libvirt"
domain_template = "/d.xml"
[job]
keep = 5
buffer = "128M"
disk = "reflink"
compress = "never"
restore_rate = "3M"
carry_rate = "9M"
stall_limit = 30
stage_limit = 2097152
work_disk = "1G"
[auto]
node_mtbf = "100d"
max_overhead = 0.025
min_interval = "90s"
max_interval = "6h"
[log]
level = "warning"
)");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->paths.qemu, "/q");
    EXPECT_THAT(config->paths.firmware, ElementsAre("/f1", "/f2"));
    EXPECT_EQ(config->paths.checkpoint_dir, "/c");
    EXPECT_EQ(config->vm.accelerator, tlc::Accelerator::tcg);
    EXPECT_EQ(config->vm.overhead_bytes, uint64_t{300} << 20);
    EXPECT_EQ(config->vm.driver, tlc::VmDriver::libvirt);
    EXPECT_EQ(config->vm.domain_template, "/d.xml");
    EXPECT_EQ(config->job.keep, 5u);
    EXPECT_EQ(config->job.buffer_bytes, uint64_t{128} << 20);
    EXPECT_EQ(config->job.disk, "reflink");
    EXPECT_EQ(config->job.compress, "never");
    EXPECT_EQ(config->job.restore_rate_bytes, uint64_t{3} << 20);
    EXPECT_EQ(config->paths.local_dir, "/l");
    EXPECT_EQ(config->paths.metrics_dir, "/m");
    EXPECT_EQ(config->job.carry_rate_bytes, uint64_t{9} << 20);
    EXPECT_EQ(config->job.stall_seconds, 30U);
    EXPECT_EQ(config->job.stage_limit_bytes, uint64_t{2} << 20);
    EXPECT_EQ(config->automatic.node_mtbf, std::chrono::hours(2400));
    EXPECT_EQ(config->automatic.max_overhead, 0.025);
    EXPECT_EQ(config->automatic.min_interval, std::chrono::seconds(90));
    EXPECT_EQ(config->automatic.max_interval, std::chrono::hours(6));
    EXPECT_EQ(config->log_level, tlc::log::Level::warning);
    const auto text = tlc::describe(*config);
    const auto again = load(text);
    ASSERT_TRUE(again) << again.error().message << "\n" << text;
    EXPECT_EQ(tlc::describe(*again), text);
}

TEST_F(Config, ErrorsNameFileLineAndKey) {
    const std::pair<const char*, const char*> cases[] = {
        {"[vm]\ncolour = 1\n", "tlc.toml:2: vm.colour: unknown key"},
        {"[colours]\na = 1\n", "colours: unknown key"},
        {"keep = 3\n", "tlc.toml:1: keep: unknown key"},
        {"vm = 3\n", "tlc.toml:1: vm: must be a table"},
        {"[vm]\n\naccel = \"fast\"\n", "tlc.toml:3: vm.accel: must be one of \"auto\", \"kvm\", \"tcg\""},
        {"[vm]\naccel = 1\n", "vm.accel: must be one of"},
        {"[vm]\ncpu = 1\n", "vm.cpu: must be a text"},
        {"[vm]\noverhead = \"1M\"\n", "write \"32M\" or more"},
        {"[vm]\noverhead = \"lots\"\n", "vm.overhead: invalid size \"lots\""},
        {"[vm]\noverhead = true\n", "vm.overhead: must be a size"},
        {"[job]\nkeep = 1\n", "job.keep: must be a whole number from 2 to 1000"},
        {"[job]\nkeep = \"3\"\n", "job.keep: must be a whole number"},
        {"[paths]\nqemu = \"bin/qemu\"\n", "paths.qemu: \"bin/qemu\" is not an absolute path"},
        {"[paths]\nfirmware = \"/x\"\n", "paths.firmware: must be a list"},
        {"[paths]\nfirmware = [1]\n", "paths.firmware: must hold texts"},
        {"[auto]\nnode_mtbf = 30\n", "tlc.toml:2: auto.node_mtbf: must be a time in quotes"},
        {"[auto]\nnode_mtbf = \"long\"\n", "auto.node_mtbf: invalid time \"long\" (write for example"},
        {"[auto]\nnode_mtbf = \"5s\"\n", "auto.node_mtbf: \"5s\" is too short; write \"60s\" or more"},
        {"[auto]\nmax_overhead = 0\n", "auto.max_overhead: must be a number from 0.0001 to 1"},
        {"[auto]\nmax_overhead = 2\n", "auto.max_overhead: must be a number"},
        {"[auto]\nmax_overhead = nan\n", "auto.max_overhead: must be a number"},
        {"[auto]\nmax_overhead = \"2%\"\n", "write for example 0.02 for 2 %"},
        {"[log]\nlevel = \"loud\"\n", "log.level: must be one of"},
        {"[vm\n", "tlc.toml:1: "},
        {"[", "tlc.toml:1: "},
        {"[ #vm]\n", "tlc.toml: this is not TOML"},
        {"vm = [1979-05-27Ts07:32:00Z]\n", "tlc.toml: this is not TOML"},
    };
    for (const auto& [text, expected] : cases)
        EXPECT_THAT(error(text), HasSubstr(expected)) << text;
}

TEST_F(Config, AGivenFileMustExist) {
    const auto config = tlc::load_config(directory / "missing.toml");
    ASSERT_FALSE(config);
    EXPECT_THAT(config.error().message, AllOf(HasSubstr("configuration"), HasSubstr("missing.toml")));
}

TEST_F(Config, TheDriverLibvirtNeedsATemplate) {
    EXPECT_THAT(error("[vm]\ndriver = \"libvirt\"\n"), HasSubstr("name a domain XML as vm.domain_template"));
    EXPECT_THAT(error("[vm]\ndriver = \"xen\"\n"), HasSubstr("must be one of \"direct\", \"libvirt\""));
}

TEST_F(Config, PathsAreChecked) {
    auto config = tlc::default_config();
    config.paths.qemu = (directory / "qemu").string();
    EXPECT_THAT(tlc::check_paths(config).error().message, HasSubstr("paths.qemu: cannot find"));
    ASSERT_TRUE(tlc::publish_text(config.paths.qemu, "", 0755));
    for (auto* path : {&config.paths.kernel, &config.paths.initramfs, &config.paths.engine})
        *path = config.paths.qemu;
    EXPECT_TRUE(tlc::check_paths(config));
    config.paths.checkpoint_dir = config.paths.qemu;
    EXPECT_THAT(tlc::check_paths(config).error().message, HasSubstr("is not a directory"));
}

TEST_F(Config, TheExampleLoadsAsItIsAndWithEveryKeyOn) {
    const std::filesystem::path example = std::filesystem::path(TLC_EXAMPLES) / "tlc.toml";
    ASSERT_TRUE(tlc::load_config(example));
    const auto text = tlc::read_text(example);
    ASSERT_TRUE(text);
    const auto all = std::regex_replace(*text, std::regex("(^|\n)#([a-z_]+ = )"), "$1$2");
    const auto config = load(all);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->job.buffer_bytes, uint64_t{256} << 20);
    EXPECT_EQ(config->paths.guest_image, "/shared/images/debian.ext4");
}

} // namespace
