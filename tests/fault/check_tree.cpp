// SPDX-License-Identifier: GPL-2.0-or-later
// check_tree [chains]: reads lines "ROOT <tab> NODE <tab> SEQUENCE:STEP,... <tab> SEQUENCE:STEP,..." and
// answers each with "ok <tab> N", N checkpoints were there, or "bad <tab> why". ROOT and NODE (empty: one
// level) are what a crash has left; the checkpoints named, those taken and those carried, must be whole, and
// every one that is published, too: with the memory, device state and disk of its step. Then a new run begins
// there: it sweeps, publishes, carries and prunes, and each time all must be well again on both levels.
#include <tlc/base/files.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/disk/packed_disk.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>

#include "contents.hpp"
#include "job_run.hpp"

namespace {

using namespace tlc;
namespace fs = std::filesystem;
using Steps = std::map<uint64_t, uint64_t>; // by sequence

struct Both {
    Steps taken;
    Steps carried; // empty with one level
};

const std::vector<test::Page>& memory_of(uint64_t step) {
    static std::map<uint64_t, std::vector<test::Page>> all;
    const auto found = all.find(step);
    return found != all.end() ? found->second : all.emplace(step, test::memory_at(step)).first->second;
}

const std::map<std::string, std::string>& disk_of(uint64_t step) {
    static std::map<uint64_t, std::map<std::string, std::string>> all;
    const auto found = all.find(step);
    return found != all.end() ? found->second : all.emplace(step, test::disk_at(step)).first->second;
}

Status check_image(const ImageReader& reader, uint64_t step) {
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

bool chains = false; // what the disks are

Status check_chains(const fs::path& disk, uint64_t step) {
    TLC_TRY_ASSIGN(found, test::read_drives(disk));
    if (found != test::drives_at(step)) return fail("the chains of images are not those of step {}", step);
    return {};
}

Status check_files(const fs::path& disk, uint64_t step) {
    if (chains) return check_chains(disk, step);
    for (const auto& [name, text] : disk_of(step)) {
        TLC_TRY_ASSIGN(found, read_text(disk / name));
        if (found != text) return fail("{} on the disk is not that of step {}", name, step);
    }
    const auto count = std::distance(fs::directory_iterator(disk), {});
    if (static_cast<size_t>(count) != disk_of(step).size()) return fail("the disk has {} files", count);
    return {};
}

// As it was taken, or packed as it was carried.
Status check_disk(const Checkpoint& checkpoint, const CheckpointParts& parts, uint64_t step, bool packed) {
    if (!parts.has_disk_sums() || parts.packed_disk().has_value() != packed)
        return fail("the disk is of kind {}",
                    checkpoint.manifest->disk ? checkpoint.manifest->disk->kind : "none");
    if (!packed) return check_files(checkpoint.directory / "disk", step);
    const fs::path unpacked = checkpoint.directory.parent_path().parent_path() / "unpacked";
    TLC_TRY(make_directory(unpacked));
    TLC_TRY(unpack_disk(checkpoint.directory, *parts.packed_disk(), unpacked));
    const auto good = check_files(unpacked, step);
    fs::remove_all(unpacked);
    return good;
}

// The files of a checkpoint as far as they tell that nobody has written to them.
using Files = std::set<std::tuple<std::string, ino_t, off_t, time_t, long>>;

Files files_of(const fs::path& directory) {
    Files files;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        struct stat info {};
        if (!entry.is_directory() && ::lstat(entry.path().c_str(), &info) == 0)
            files.emplace(entry.path(), info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    }
    return files;
}

std::set<Files> known_good; // of this tree; they need not be read again

Status check_checkpoint(const Checkpoint& checkpoint, uint64_t step, bool packed) {
    auto files = files_of(checkpoint.directory);
    if (known_good.contains(files)) return {};
    TLC_TRY_ASSIGN(parts, CheckpointParts::open(checkpoint.directory));
    std::atomic<uint64_t> done{0};
    TLC_TRY(parts.verify(done));
    TLC_TRY(check_image(parts.image(), step));
    TLC_TRY(check_disk(checkpoint, parts, step, packed));
    known_good.insert(std::move(files));
    return {};
}

Result<Steps> check_level(const JobDirectory& level, const Steps& required, bool packed) {
    TLC_TRY_ASSIGN(list, level.list());
    Steps there;
    for (const auto& checkpoint : list) {
        const auto context = fmt::format("{}", checkpoint.directory.string());
        if (!checkpoint.whole())
            return fail("{} is published and not whole: {}", context, checkpoint.error->message);
        const auto step = checkpoint.manifest->job.value("step", uint64_t{0});
        if (auto good = check_checkpoint(checkpoint, step, packed); !good)
            return in_context(good.error(), context);
        there[checkpoint.sequence] = step;
    }
    for (const auto& [sequence, step] : required) {
        const auto found = there.find(sequence);
        if (found == there.end())
            return fail("checkpoint {} of step {} is lost in {}", sequence, step, level.path().string());
        if (found->second != step)
            return fail("checkpoint {} is of step {} instead of {}", sequence, found->second, step);
    }
    return there;
}

Result<Both> check_all(const test::Levels& levels, const Both& required) {
    Both there;
    TLC_TRY_ASSIGN(taken, check_level(levels.store, required.taken, false));
    there.taken = std::move(taken);
    if (!levels.two()) return there;
    TLC_TRY_ASSIGN(carried, check_level(levels.job, required.carried, true));
    there.carried = std::move(carried);
    for (const auto& [sequence, step] : there.carried)
        if (const auto own = there.taken.find(sequence); own != there.taken.end() && own->second != step)
            return fail("checkpoint {} is of step {} and was carried as that of {}", sequence, own->second,
                        step);
    return there;
}

// After a sweep there is nothing that nobody needs.
Status check_swept(const JobDirectory& level, const Steps& there, uint64_t epoch) {
    std::set<std::string> expected{"epochs", "sequences", level.live_directory(epoch).filename()};
    for (const auto& [sequence, step] : there)
        expected.insert(level.checkpoint_directory(sequence).filename());
    for (const auto& entry : fs::directory_iterator(level.path()))
        if (expected.count(entry.path().filename()) == 0)
            return fail("{} is left after the sweep", entry.path().string());
    for (const auto& [sequence, step] : there)
        for (const auto& entry : fs::directory_iterator(level.checkpoint_directory(sequence))) {
            const std::string name = entry.path().filename();
            if (name.starts_with("manifest.json.") || name.ends_with(".partial"))
                return fail("{} is left after the sweep", entry.path().string());
        }
    return {};
}

// What is there before anything is made anew.
Result<Both> check_found(const fs::path& root, const fs::path& node, const Both& required) {
    const auto there = [&](const fs::path& where, const Steps& wanted, bool packed) -> Result<Steps> {
        if (where.empty()) return Steps{};
        const auto level = JobDirectory::open(where / "cluster-4711");
        if (level) return check_level(*level, wanted, packed);
        if (level.error().kind == ErrorKind::no_checkpoint && wanted.empty()) return Steps{};
        return fail("the job directory is lost: {}", level.error().message);
    };
    TLC_TRY_ASSIGN(taken, there(node.empty() ? root : node, required.taken, false));
    TLC_TRY_ASSIGN(carried, there(node.empty() ? node : root, required.carried, true));
    return Both{std::move(taken), std::move(carried)};
}

Status check_new_run(const test::Levels& levels, const Both& found) {
    TLC_TRY_ASSIGN(before, levels.store.list());
    TLC_TRY_ASSIGN(run, test::JobRun::begin(levels, 1000000, [](const std::string&) {}));
    for (const auto& checkpoint : before)
        if (checkpoint.manifest->epoch >= run.epoch())
            return fail("epoch {} of checkpoint {} is claimed again", run.epoch(), checkpoint.sequence);
    const auto swept = check_all(levels, found);
    if (!swept) return in_context(swept.error(), "after the sweep");
    TLC_TRY(check_swept(levels.store, swept->taken, run.epoch()));
    if (levels.two()) {
        TLC_TRY(check_swept(levels.job, swept->carried, run.epoch()));
        if (!swept->taken.empty() &&
            (swept->carried.empty() || swept->carried.rbegin()->first < swept->taken.rbegin()->first))
            return fail("the newest checkpoint has not been carried by the new run");
    }

    if (auto taken = run.take(); !taken) return in_context(taken.error(), "no new checkpoint can be made");
    TLC_TRY_ASSIGN(newest, levels.store.newest());
    if (newest.manifest->epoch != run.epoch()) return fail("the new checkpoint is not the newest");
    Both wanted{{{newest.sequence, 1000000}}, {}};
    if (levels.two()) {
        // Beside those there are, so that the packs are built on.
        if (auto carried = run.carry_taken(100); !carried)
            return in_context(carried.error(), "the new checkpoint cannot be carried");
        wanted.carried = wanted.taken;
    }
    if (auto good = check_all(levels, *swept); !good)
        return in_context(good.error(), "beside a new checkpoint");
    run.prune(1);
    if (levels.two()) TLC_TRY(levels.job.prune(1, [](const fs::path&) { return Status{}; }));
    TLC_TRY_ASSIGN(left, check_all(levels, wanted));
    if (left.taken.size() != 1 || left.carried.size() != wanted.carried.size())
        return fail("{} and {} checkpoints are left where 1 is kept", left.taken.size(), left.carried.size());
    return {};
}

Result<size_t> check_tree(const fs::path& root, const fs::path& node, const Both& required) {
    known_good.clear();
    TLC_TRY_ASSIGN(found, check_found(root, node, required));
    TLC_TRY_ASSIGN(levels, test::Levels::create(root, node, chains));
    TLC_TRY(check_new_run(levels, found));
    return found.taken.size() + found.carried.size();
}

Steps parse_steps(const std::string& text) {
    Steps steps;
    for (size_t at = 0; at < text.size(); ++at) {
        size_t used = 0;
        const auto sequence = std::stoull(text.substr(at), &used);
        at += used + 1;
        steps[sequence] = std::stoull(text.substr(at), &used);
        at += used;
    }
    return steps;
}

std::string answer(const std::string& line) {
    try {
        std::array<std::string, 4> words;
        std::istringstream parts(line);
        for (auto& word : words)
            std::getline(parts, word, '\t');
        const auto checked = check_tree(words[0], words[1], {parse_steps(words[2]), parse_steps(words[3])});
        return checked ? fmt::format("ok\t{}", *checked) : fmt::format("bad\t{}", checked.error().message);
    } catch (const std::exception& error) {
        return fmt::format("bad\texception: {}", error.what());
    }
}

} // namespace

int main(int argc, char** argv) {
    chains = argc > 1 && argv[1] == std::string("chains");
    for (std::string line; std::getline(std::cin, line);)
        std::cout << answer(line) << std::endl;
    return 0;
}
