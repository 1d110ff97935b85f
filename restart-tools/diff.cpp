// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/checkpoint/progress.hpp>
#include <tlc/image/difference.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <thread>

#include "commands.hpp"

namespace tlc {
namespace {

struct Side {
    Manifest manifest;
    CheckpointParts parts;
};

Result<Side> open_side(const JobDirectory& job, uint64_t sequence) {
    TLC_TRY_ASSIGN(checkpoint, find_checkpoint(job, sequence));
    if (checkpoint.error)
        return in_context(*checkpoint.error, fmt::format("checkpoint {}", checkpoint.sequence));
    TLC_TRY_ASSIGN(parts, CheckpointParts::open(checkpoint.directory));
    return Side{*checkpoint.manifest, std::move(parts)};
}

std::set<std::string> disk_files(const Manifest& a, const Manifest& b) {
    std::set<std::string> names;
    for (const auto* manifest : {&a, &b})
        if (manifest->disk)
            for (const auto& [name, size] : manifest->disk->files)
                names.insert(name);
    return names;
}

// Nothing: the checkpoint has no such file.
std::optional<uint64_t> disk_file_size(const Manifest& manifest, const std::string& name) {
    if (!manifest.disk) return std::nullopt;
    const auto found = manifest.disk->files.find(name);
    return found == manifest.disk->files.end() ? std::nullopt : std::optional(found->second);
}

struct Difference {
    const Side& a;
    const Side& b;
    std::vector<BlockDifference> blocks;
    bool same_devices = false;
    int64_t stdout_bytes = 0; // from A to B
    int64_t stderr_bytes = 0;
};

nlohmann::json as_json(const Difference& d) {
    auto blocks = nlohmann::json::array();
    for (const auto& block : d.blocks)
        blocks.push_back({{"id", block.id},
                          {"pages_a", block.pages_a},
                          {"pages_b", block.pages_b},
                          {"equal", block.equal},
                          {"changed", block.changed},
                          {"zero_in_a", block.zero_in_a},
                          {"zero_in_b", block.zero_in_b},
                          {"only_in_one", block.only_in_one}});
    auto files = nlohmann::json::object();
    const auto size = [](std::optional<uint64_t> bytes) -> nlohmann::json {
        return bytes ? nlohmann::json(*bytes) : nlohmann::json(nullptr);
    };
    for (const auto& name : disk_files(d.a.manifest, d.b.manifest))
        files[name] = {{"bytes_a", size(disk_file_size(d.a.manifest, name))},
                       {"bytes_b", size(disk_file_size(d.b.manifest, name))}};
    return {{"a", d.a.manifest.sequence},
            {"b", d.b.manifest.sequence},
            {"page_size", image_page_size},
            {"blocks", blocks},
            {"device_state",
             {{"equal", d.same_devices},
              {"bytes_a", d.a.parts.image().device_state().size()},
              {"bytes_b", d.b.parts.image().device_state().size()}}},
            {"disk", files},
            {"output", {{"stdout_bytes", d.stdout_bytes}, {"stderr_bytes", d.stderr_bytes}}}};
}

void print_for_people(const Difference& d) {
    const auto a = d.a.manifest.sequence;
    const auto b = d.b.manifest.sequence;
    fmt::print("{:<28} {:>10} {:>10} {:>10} {:>12} {:>12} {:>12}\n", "MEMORY", "PAGES", "EQUAL", "CHANGED",
               fmt::format("ZERO IN {}", a), fmt::format("ZERO IN {}", b), "DIFFERENT");
    for (const auto& block : d.blocks) {
        const uint64_t pages = block.changed + block.zero_in_a + block.zero_in_b + block.only_in_one;
        fmt::print("{:<28} {:>10} {:>10} {:>10} {:>12} {:>12} {:>12}\n", block.id,
                   std::max(block.pages_a, block.pages_b), block.equal, block.changed, block.zero_in_a,
                   block.zero_in_b, size_text(pages * image_page_size));
    }
    const auto size = [](std::optional<uint64_t> bytes) { return bytes ? size_text(*bytes) : "none"; };
    fmt::print("\n{:<28} {:>12} {:>12}\n", "", fmt::format("IN {}", a), fmt::format("IN {}", b));
    fmt::print("{:<28} {:>12} {:>12}  {}\n", "device state",
               size_text(d.a.parts.image().device_state().size()),
               size_text(d.b.parts.image().device_state().size()), d.same_devices ? "equal" : "different");
    for (const auto& name : disk_files(d.a.manifest, d.b.manifest))
        fmt::print("{:<28} {:>12} {:>12}\n", "disk " + name, size(disk_file_size(d.a.manifest, name)),
                   size(disk_file_size(d.b.manifest, name)));
    fmt::print("\noutput in between: {:+} bytes stdout, {:+} bytes stderr\n", d.stdout_bytes, d.stderr_bytes);
}

} // namespace

Status diff_checkpoints(const JobDirectory& job, uint64_t a, uint64_t b, bool json) {
    TLC_TRY_ASSIGN(side_a, open_side(job, a));
    TLC_TRY_ASSIGN(side_b, open_side(job, b));
    const ImageComparison comparison(side_a.parts.image(), side_b.parts.image());
    const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    std::atomic<uint64_t> done{0};
    Result<std::vector<BlockDifference>> blocks;
    {
        const Progress progress("comparing", comparison.bytes(), [&] { return done.load(); });
        blocks = comparison.run(threads, done);
    }
    if (!blocks) return in_context(blocks.error(), "cannot compare");
    const auto devices_a = side_a.parts.image().device_state();
    const auto devices_b = side_b.parts.image().device_state();
    const auto grown = [](uint64_t before, uint64_t after) { return static_cast<int64_t>(after - before); };
    const Difference difference{
        side_a,
        side_b,
        std::move(*blocks),
        std::equal(devices_a.begin(), devices_a.end(), devices_b.begin(), devices_b.end()),
        grown(side_a.manifest.console.stdout_bytes, side_b.manifest.console.stdout_bytes),
        grown(side_a.manifest.console.stderr_bytes, side_b.manifest.console.stderr_bytes)};
    if (json)
        fmt::print("{}\n", as_json(difference).dump(2));
    else
        print_for_people(difference);
    return {};
}

} // namespace tlc
