// SPDX-License-Identifier: GPL-2.0-or-later
// sample_image write FILE PAGES THREADS: writes the sample image and prints its digest.
// sample_image read FILE DIGEST THREADS: reads all of it, prints the number of pages.
// sample_image describe FILE [DIGEST]: reads all of it, prints what is in it.
// sample_image chain DIRECTORY: writes three images, DIRECTORY/1 to 3, each holding what has changed; prints
// the digest of the third and a line for each of its pages as `describe` must print it. sample_image page
// BLOCK PAGE: prints the bytes of one page as they must be in the image.
#include "sample_image.hpp"

#include <tlc/image/reader.hpp>

#include <atomic>
#include <cstdio>
#include <string>

#include "describe_image.hpp"
#include "sample_chain.hpp"

namespace {

int report(const tlc::Error& error) {
    fmt::print(stderr, "{}\n", error.message);
    return error.exit_code();
}

int read(const char* file, const char* digest, unsigned threads) {
    const auto reader = tlc::ImageReader::open(file, digest);
    if (!reader) return report(reader.error());
    std::atomic<uint64_t> pages = 0;
    const auto walked = reader->for_each_chunk(threads, [&](auto, auto, const auto& refs) -> tlc::Status {
        for (const auto& ref : refs)
            pages += ref.block != tlc::ImagePageRef::no_block;
        return {};
    });
    if (!walked) return report(walked.error());
    fmt::print("{}\n", pages.load());
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::string command = argc > 1 ? argv[1] : "";
    if (command == "write" && argc == 5) {
        const auto summary = tlc::test::write_sample(argv[2], std::stoull(argv[3]),
                                                     static_cast<unsigned>(std::stoul(argv[4])));
        if (!summary) return report(summary.error());
        fmt::print("{}\n", summary->digest);
        return 0;
    }
    if (command == "read" && argc == 5)
        return read(argv[2], argv[3], static_cast<unsigned>(std::stoul(argv[4])));
    if (command == "describe" && (argc == 3 || argc == 4)) {
        const auto text = tlc::test::describe_image(argv[2], argc == 4 ? argv[3] : "");
        if (!text) return report(text.error());
        fmt::print("{}", *text);
        return 0;
    }
    if (command == "chain" && argc == 3) {
        const auto chain = tlc::test::SampleChain::write(argv[2]);
        if (!chain) return report(chain.error());
        fmt::print("{}\n{}", chain->digest(), chain->pages());
        return 0;
    }
    if (command == "page" && argc == 4) {
        const auto page =
            tlc::test::sample_page(static_cast<uint32_t>(std::stoul(argv[2])), std::stoull(argv[3]));
        return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() ? 0 : 1;
    }
    fmt::print(stderr, "usage: sample_image write FILE PAGES THREADS | read FILE DIGEST THREADS | "
                       "describe FILE [DIGEST] | chain DIRECTORY | page BLOCK PAGE\n");
    return 2;
}
