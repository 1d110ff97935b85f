// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/vm/host_cpu.hpp>

#include <gtest/gtest.h>

namespace tlc {
namespace {

TEST(HostCpu, TellsWhichFlagsAreMissing) {
    const auto cpu =
        parse_host_cpu("processor\t: 0\nmodel\t\t: 49\nmodel name\t: Some CPU @ 2 GHz\n"
                       "flags\t\t: fpu sse avx2\nvmx flags\t: vnmi\n\nprocessor\t: 1\nflags\t\t: none\n");
    EXPECT_EQ(cpu.model, "Some CPU @ 2 GHz");
    EXPECT_EQ(missing_flags(cpu, "fpu avx2"), "");
    EXPECT_EQ(missing_flags(cpu, "avx512f fpu vnmi"), "avx512f vnmi");
    EXPECT_EQ(missing_flags(parse_host_cpu(""), "fpu"), "fpu");
}

TEST(HostCpu, ReadsThisOne) {
    const auto cpu = read_host_cpu();
    ASSERT_TRUE(cpu);
    EXPECT_TRUE(cpu->flags.contains("fpu"));
}

} // namespace
} // namespace tlc
