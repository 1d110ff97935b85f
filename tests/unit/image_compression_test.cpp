// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/compression.hpp>

#include <gtest/gtest.h>

namespace tlc {
namespace {

using std::chrono::microseconds;

constexpr uint64_t chunk = 65536;

// How many of the next 320 chunks are compressed, where that takes 100 us and saves `saved` bytes a chunk,
// and writing takes 20 us a chunk and `disk_ns` a byte.
int compressed_of_320(CompressionChoice& choice, uint64_t saved, double disk_ns) {
    int compressed = 0;
    for (int i = 0; i < 320; ++i) {
        const auto step = choice.next();
        compressed += step.compress;
        if (step.measure)
            choice.measured(step, {microseconds(100), step.compress ? saved : 0,
                                   microseconds(step.compress ? 10 : 20),
                                   step.compress ? chunk - saved : chunk, disk_ns});
    }
    return compressed;
}

TEST(Compression, is_left_out_where_the_disk_is_faster) {
    CompressionChoice choice(Compression::automatic);
    const int probes = compressed_of_320(choice, chunk / 2, 0);
    EXPECT_GE(probes, 10);
    EXPECT_LE(probes, 20);
}

TEST(Compression, follows_the_disk_and_the_data) {
    CompressionChoice choice(Compression::automatic);
    compressed_of_320(choice, chunk / 2, 0);
    // 10 ns a byte, 100 MB/s: 330 us are saved by 100.
    EXPECT_GE(compressed_of_320(choice, chunk / 2, 10), 310);
    EXPECT_LE(compressed_of_320(choice, 0, 10), 60) << "what saves nothing is not tried on every chunk";
    EXPECT_GE(compressed_of_320(choice, chunk / 2, 10), 200) << "and is taken up again";
}

TEST(Compression, is_as_told) {
    CompressionChoice always(Compression::always);
    EXPECT_EQ(compressed_of_320(always, 0, 0), 320);
    CompressionChoice never(Compression::never);
    EXPECT_EQ(compressed_of_320(never, chunk / 2, 100), 0);
    EXPECT_EQ(*parse_compression("auto"), Compression::automatic);
    EXPECT_EQ(*parse_compression("always"), Compression::always);
    EXPECT_EQ(*parse_compression("never"), Compression::never);
    EXPECT_FALSE(parse_compression("sometimes"));
}

} // namespace
} // namespace tlc
