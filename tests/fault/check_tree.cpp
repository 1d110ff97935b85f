// SPDX-License-Identifier: GPL-2.0-or-later
// check_tree: reads lines "ROOT <tab> SEQUENCE:STEP,..." and answers each with "ok <tab> N", N checkpoints
// were there, or "bad <tab> why". ROOT is what a crash has left; the checkpoints named must be whole, and
// every one that is published, too: with the memory, device state and disk of its step. Then a new run begins
// there: it sweeps, publishes and prunes, and each time all must be well again.
#include <tlc/base/files.hpp>
#include <tlc/image/reader.hpp>

#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <string>

#include "contents.hpp"
#include "job_run.hpp"

namespace {

using namespace tlc;
namespace fs = std::filesystem;
using Steps = std::map<uint64_t, uint64_t>; // by sequence

const std::vector<test::Page>& memory_of(uint64_t step) {
    static std::map<uint64_t, std::vector<test::Page>> all;
    const auto found = all.find(step);
    return found != all.end() ? found->second : all.emplace(step, test::memory_at(step)).first->second;
}

Status check_image(const Checkpoint& checkpoint, uint64_t step) {
    const auto& memory = checkpoint.manifest->memory;
    TLC_TRY_ASSIGN(reader, ImageReader::open(checkpoint.directory / memory.file, memory.digest));
    const auto& expected = memory_of(step);
    std::vector<test::Page> found(test::memory_pages, test::Page{});
    TLC_TRY(reader.for_each_chunk(
        1, [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& refs) -> Status {
            for (size_t i = 0; i < refs.size(); ++i) {
                if (refs[i].block == ImagePageRef::no_block) continue;
                if (refs[i].page >= found.size()) return fail("page {} of none", refs[i].page);
                std::memcpy(found[refs[i].page].data(), data.data() + i * image_page_size, image_page_size);
            }
            return {};
        }));
    for (uint64_t page = 0; page < test::memory_pages; ++page)
        if (found[page] != expected[page]) return fail("page {} is not that of step {}", page, step);
    const auto state = reader.device_state();
    const auto expected_state = test::device_state_at(step);
    if (!std::equal(state.begin(), state.end(), expected_state.begin(), expected_state.end()))
        return fail("the device state is not that of step {}", step);
    return {};
}

Status check_disk(const Checkpoint& checkpoint, uint64_t step) {
    for (const auto& [name, text] : test::disk_at(step)) {
        TLC_TRY_ASSIGN(found, read_text(checkpoint.directory / "disk" / name));
        if (found != text) return fail("{} on the disk is not that of step {}", name, step);
    }
    return {};
}

Result<Steps> check_all(const JobDirectory& job, const Steps& required) {
    TLC_TRY_ASSIGN(list, job.list());
    Steps there;
    for (const auto& checkpoint : list) {
        const auto context = fmt::format("checkpoint {}", checkpoint.sequence);
        if (!checkpoint.whole())
            return fail("{} is published and not whole: {}", context, checkpoint.error->message);
        const auto step = checkpoint.manifest->job.value("step", uint64_t{0});
        if (auto good = check_image(checkpoint, step); !good) return in_context(good.error(), context);
        if (auto good = check_disk(checkpoint, step); !good) return in_context(good.error(), context);
        there[checkpoint.sequence] = step;
    }
    for (const auto& [sequence, step] : required) {
        const auto found = there.find(sequence);
        if (found == there.end()) return fail("checkpoint {} of step {} is lost", sequence, step);
        if (found->second != step)
            return fail("checkpoint {} is of step {} instead of {}", sequence, found->second, step);
    }
    return there;
}

// After a sweep there is nothing that nobody needs.
Status check_swept(const JobDirectory& job, const Steps& there, uint64_t epoch) {
    std::set<std::string> expected{"epochs", job.live_directory(epoch).filename()};
    for (const auto& [sequence, step] : there)
        expected.insert(job.checkpoint_directory(sequence).filename());
    for (const auto& entry : fs::directory_iterator(job.path()))
        if (expected.count(entry.path().filename()) == 0)
            return fail("{} is left after the sweep", entry.path().string());
    for (const auto& [sequence, step] : there)
        for (const auto& entry : fs::directory_iterator(job.checkpoint_directory(sequence))) {
            const std::string name = entry.path().filename();
            if (name.starts_with("manifest.json.") || name.ends_with(".partial"))
                return fail("{} is left after the sweep", entry.path().string());
        }
    return {};
}

Result<size_t> check_tree(const fs::path& root, const Steps& required) {
    Steps there;
    if (const auto job = JobDirectory::open(root / "cluster-4711")) {
        TLC_TRY_ASSIGN(found, check_all(*job, required));
        there = found;
    } else if (job.error().kind != ErrorKind::no_checkpoint || !required.empty()) {
        return fail("the job directory is lost: {}", job.error().message);
    }
    const size_t count = there.size();

    TLC_TRY_ASSIGN(job, JobDirectory::create(root, "cluster", "4711"));
    TLC_TRY_ASSIGN(before, job.list());
    TLC_TRY_ASSIGN(run, test::JobRun::begin(job, 1000, [](const std::string&) {}));
    for (const auto& checkpoint : before)
        if (checkpoint.manifest->epoch >= run.epoch())
            return fail("epoch {} of checkpoint {} is claimed again", run.epoch(), checkpoint.sequence);
    if (auto good = check_all(job, there); !good) return in_context(good.error(), "after the sweep");
    TLC_TRY(check_swept(job, there, run.epoch()));

    if (auto taken = run.take(); !taken) return in_context(taken.error(), "no new checkpoint can be made");
    if (auto good = check_all(job, there); !good) return in_context(good.error(), "beside a new checkpoint");
    TLC_TRY_ASSIGN(newest, job.newest());
    if (newest.manifest->epoch != run.epoch()) return fail("the new checkpoint is not the newest");
    run.prune(1);
    TLC_TRY_ASSIGN(left, check_all(job, {{newest.sequence, 1000}}));
    if (left.size() != 1) return fail("{} checkpoints are left where 1 is kept", left.size());
    return count;
}

std::string answer(const std::string& line) {
    try {
        const auto tab = line.find('\t');
        Steps required;
        for (size_t at = tab; at != std::string::npos && at + 1 < line.size(); at = line.find(',', at + 1)) {
            size_t used = 0;
            const auto sequence = std::stoull(line.substr(at + 1), &used);
            required[sequence] = std::stoull(line.substr(at + 2 + used));
        }
        const auto checked = check_tree(line.substr(0, tab), required);
        return checked ? fmt::format("ok\t{}", *checked) : fmt::format("bad\t{}", checked.error().message);
    } catch (const std::exception& error) {
        return fmt::format("bad\texception: {}", error.what());
    }
}

} // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);)
        std::cout << answer(line) << std::endl;
    return 0;
}
