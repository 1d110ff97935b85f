// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/process.hpp>

#include <gtest/gtest.h>

namespace tlc {
namespace {

TEST(ShellLine, IsReadAgainByAShell) {
    const std::vector<std::string> words{"printf", "%s\\n", "plain", "two words", "it's",
                                         "",       "$HOME", "a\nb",  "*"};
    const auto shown = run({"sh", "-c", shell_line(words)});
    ASSERT_TRUE(shown);
    EXPECT_EQ(shown->text, "plain\ntwo words\nit's\n\n$HOME\na\nb\n*\n");
    EXPECT_EQ(shell_line({"sbatch", "--mem=1G", "/a/b.sh"}), "sbatch --mem=1G /a/b.sh");
}

TEST(Spawn, SaysWhenThereIsNoSuchProgram) {
    const auto started = spawn({"/there/is/none"});
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().kind, ErrorKind::incompatible);
    EXPECT_EQ(started.error().message, "there is no /there/is/none here");
}

} // namespace
} // namespace tlc
