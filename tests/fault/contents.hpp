// SPDX-License-Identifier: GPL-2.0-or-later
// What the VM that is not there holds at each step (one a checkpoint): known from the step's number alone, so
// whoever finds a checkpoint knows what must be in it.
#pragma once

#include <tlc/disk/disk_sums.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "../support/sample_image.hpp"

namespace tlc::test {

constexpr uint64_t memory_pages = 400; // a full image is more than one of FileOutput's windows

// The last step up to `step` that wrote the page.
inline uint64_t version_of(uint64_t page, uint64_t step) {
    const auto writes = [page](uint64_t s) { return (page * 2654435761U + s * 40503U) % 97 < 6; };
    while (step > 1 && !writes(step))
        --step;
    return step;
}

inline Page page_at(uint64_t page, uint64_t step) {
    const uint64_t version = version_of(page, step);
    return sample_page(static_cast<uint32_t>(version), page + version);
}

inline std::vector<Page> memory_at(uint64_t step) {
    std::vector<Page> memory;
    for (uint64_t page = 0; page < memory_pages; ++page)
        memory.push_back(page_at(page, step));
    return memory;
}

inline std::vector<std::byte> device_state_at(uint64_t step) {
    auto state = sample_device_state();
    state[step % state.size()] = std::byte{0xff};
    return state;
}

// Whatever no compression makes smaller.
inline std::string random_text(uint64_t seed, size_t size) {
    std::mt19937_64 random(seed);
    std::string text(size, '\0');
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        const uint64_t word = random();
        std::memcpy(text.data() + at, &word, std::min(sizeof word, size - at));
    }
    return text;
}

// The files of the disk part, several sectors long. The root disk has two stretches (tlc/disk/disk_sums.hpp):
// the first stays the same for three steps, the other is a new one each time.
inline std::map<std::string, std::string> disk_at(uint64_t step) {
    std::map<std::string, std::string> files{{"spare", std::string(3000, '\0')}, {"stdout", ""}};
    for (uint64_t line = 0; line < 60 + step % 7; ++line)
        files["stdout"] += fmt::format("stdout at step {}, line {}\n", step, line);
    files["root"] = random_text(1 + (step + 1) / 3, disk_stretch) + random_text(1000 + step, 3000 + step % 7);
    return files;
}

inline std::string identity_at(uint64_t step) { return fmt::format("7d2f8a52-9f0b-4a63-b9d7-{:012x}", step); }

} // namespace tlc::test
