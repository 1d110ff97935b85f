// SPDX-License-Identifier: GPL-2.0-or-later
// A fuzz target without libFuzzer: as a unit test it takes every file of its corpus; with arguments it takes
// the files that they name, for a debugger.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz.hpp"

namespace {

void take(const std::filesystem::path& path) {
    std::printf("%s\n", path.c_str()); // the last one is the one it ends with
    std::fflush(stdout);
    std::ifstream file(path, std::ios::binary);
    ASSERT_TRUE(file) << "cannot read " << path;
    const std::string content{std::istreambuf_iterator<char>(file), {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(content.data()), content.size());
}

TEST(Corpus, IsTaken) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(TLC_CORPUS))
        paths.push_back(entry.path());
    ASSERT_FALSE(paths.empty()) << TLC_CORPUS " holds nothing";
    std::sort(paths.begin(), paths.end());
    LLVMFuzzerTestOneInput(nullptr, 0);
    for (const auto& path : paths)
        take(path);
}

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc == 1) return RUN_ALL_TESTS();
    for (int i = 1; i < argc; ++i)
        take(argv[i]);
    return 0;
}
