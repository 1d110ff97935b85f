// SPDX-License-Identifier: GPL-2.0-or-later
// Three images of one small memory, the second and third holding what has changed; the third needs both
// others. With compressed chunks, a plain one, pages that change, become zero and stop being zero.
#pragma once

#include <tlc/image/writer.hpp>

#include "sample_image.hpp"

namespace tlc::test {

class SampleChain {
  public:
    // Writes DIRECTORY/<n>/memory.h5 with the links it needs, n from 1 to 3.
    static Result<SampleChain> write(const std::filesystem::path& directory) {
        SampleChain chain;
        for (uint64_t page = 0; page < 40; ++page)
            chain.memory_[0].push_back(page / 16 == 1 ? sample_page(7, 3 * page + 2) : sample_page(0, page));
        for (uint64_t page = 0; page < 5; ++page)
            chain.memory_[1].push_back(sample_page(1, page));
        std::vector<Place> all;
        for (uint32_t block = 0; block < 2; ++block)
            for (uint64_t page = 0; page < chain.memory_[block].size(); ++page)
                all.push_back({block, page});
        TLC_TRY(chain.save(directory, all));

        chain.memory_[0][0] = sample_page(2, 1);
        chain.memory_[0][3] = sample_page(2, 4);
        chain.memory_[0][4] = sample_page(2, 5);
        chain.memory_[0][5] = Page{};
        TLC_TRY(chain.save(directory, {{0, 0}, {0, 3}, {0, 4}, {0, 5}}));

        chain.memory_[0][4] = sample_page(3, 7);
        chain.memory_[1][2] = sample_page(3, 8);
        TLC_TRY(chain.save(directory, {{0, 4}, {0, 10}, {1, 2}})); // page 10 is as it was
        return chain;
    }

    const std::string& digest() const { return digest_; } // of the third
    // As describe_pages() must find it in the third.
    std::string pages() const {
        std::string text;
        for (uint32_t block = 0; block < 2; ++block)
            for (size_t page = 0; page < memory_[block].size(); ++page)
                if (memory_[block][page] != Page{})
                    text +=
                        fmt::format("page {} {} {}\n", block, page, checksum(memory_[block][page]).text());
        return text;
    }

  private:
    struct Place {
        uint32_t block;
        uint64_t page;
    };

    Status save(const std::filesystem::path& directory, const std::vector<Place>& touched) {
        const auto before = directory / std::to_string(taken_);
        const auto here = directory / std::to_string(++taken_);
        std::filesystem::create_directory(here);
        ImageInfo info = sample_info();
        info.identity = fmt::format("7d2f8a52-9f0b-4a63-b9d7-{:012x}", taken_);
        if (base_) {
            info.parent_identity = base_->identity;
            for (const auto& file : base_->older) {
                const auto name = older_file_name(file.identity);
                std::filesystem::create_hard_link(
                    before / (file.identity == base_->identity ? "memory.h5" : name), here / name);
            }
        }
        const std::vector<ImageBlock> blocks{{"pc.ram", 40 * image_page_size, image_page_size},
                                             {"vga.vram", 5 * image_page_size, image_page_size}};
        TLC_TRY_ASSIGN(writer,
                       ImageWriter::create_in_chain(here / "memory.h5", info, blocks, std::move(base_)));
        auto& lane = writer.lane();
        for (const auto& place : touched)
            TLC_TRY(lane.add(place.block, place.page, memory_[place.block][place.page]));
        TLC_TRY(writer.set_device_state(sample_device_state()));
        TLC_TRY_ASSIGN(summary, writer.finish({7'000'000 + taken_, 900'000'000, {{"faults", taken_}}}));
        base_ = writer.take_base();
        digest_ = summary.digest;
        return {};
    }

    std::vector<Page> memory_[2];
    std::optional<ImageBase> base_;
    unsigned taken_ = 0;
    std::string digest_;
};

} // namespace tlc::test
