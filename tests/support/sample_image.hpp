// SPDX-License-Identifier: GPL-2.0-or-later
// A memory image with known content for tests: two RAM blocks of odd page counts, with random, repetitive and
// zero pages. The content is a function of (block, page) only.
#pragma once

#include <tlc/image/writer.hpp>

#include <array>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

namespace tlc::test {

using Page = std::array<std::byte, image_page_size>;

// Every third page is zero, every third repetitive text, every third random.
inline Page sample_page(uint32_t block, uint64_t page) {
    Page data{};
    if (page % 3 == 1) {
        const std::string text = fmt::format("page {} of block {}. ", page, block);
        for (size_t i = 0; i < data.size(); ++i)
            data[i] = static_cast<std::byte>(text[i % text.size()]);
    } else if (page % 3 == 2) {
        std::mt19937_64 random(block * 1'000'003 + page);
        for (size_t i = 0; i < data.size(); i += sizeof(uint64_t)) {
            const uint64_t word = random();
            std::memcpy(data.data() + i, &word, sizeof word);
        }
    }
    return data;
}

inline ImageInfo sample_info() {
    return {"7d2f8a52-9f0b-4a63-b9d7-5a3a3f6c2b11",
            "",
            "pc-q35-10.0",
            "qemu64",
            "10.0.13",
            "cow",
            "2026-01-31T12:00:00Z"};
}

inline std::vector<ImageBlock> sample_blocks(uint64_t pages) {
    return {{"pc.ram", pages * image_page_size, image_page_size},
            {"vga.vram", 37 * image_page_size, image_page_size}};
}

inline std::vector<std::byte> sample_device_state() {
    std::vector<std::byte> state(5001);
    for (size_t i = 0; i < state.size(); ++i)
        state[i] = static_cast<std::byte>(i * 7);
    return state;
}

// Writes it with `threads` lanes, each taking runs of up to 16 pages in turn.
inline Result<ImageSummary> write_sample(const std::filesystem::path& path, uint64_t pages,
                                         unsigned threads) {
    const auto blocks = sample_blocks(pages);
    TLC_TRY_ASSIGN(writer, ImageWriter::create(path, sample_info(), blocks));
    std::vector<Status> results(threads);
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t)
        workers.emplace_back([&, t, &lane = writer.lane()] {
            for (uint32_t block = 0; block < blocks.size(); ++block) {
                const uint64_t count = blocks[block].length / image_page_size;
                for (uint64_t first = t * 16; first < count; first += threads * 16) {
                    std::vector<std::byte> run;
                    for (uint64_t page = first; page < std::min(first + 16, count); ++page) {
                        const Page data = sample_page(block, page);
                        run.insert(run.end(), data.begin(), data.end());
                    }
                    if (results[t]) results[t] = lane.add(block, first, run);
                }
            }
        });
    for (auto& worker : workers)
        worker.join();
    for (auto& result : results)
        TLC_TRY(std::move(result));
    TLC_TRY(writer.set_device_state(sample_device_state()));
    return writer.finish({7'000'000, 900'000'000, {{"faults", 12}, {"buffer_peak_bytes", 65536}}});
}

} // namespace tlc::test
