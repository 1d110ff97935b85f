// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/vm/machine.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace tlc {
namespace {

std::string cpu_of(const std::string& accelerator, const std::string& cpu) {
    Machine machine;
    machine.accelerator = accelerator;
    machine.cpu = cpu;
    const auto words = qemu_command_line(machine);
    const auto option = std::find(words.begin(), words.end(), "-cpu");
    return option == words.end() ? "" : *(option + 1);
}

TEST(CommandLine, HasAllOfANamedProcessorOrNone) {
    EXPECT_EQ(cpu_of("kvm", "Skylake-Server"), "Skylake-Server,enforce");
    EXPECT_EQ(cpu_of("kvm", "host"), "host");
    EXPECT_EQ(cpu_of("tcg", "max"), "max");
    EXPECT_EQ(cpu_of("tcg", "Skylake-Server"), "Skylake-Server");
}

} // namespace
} // namespace tlc
