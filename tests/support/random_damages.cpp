// SPDX-License-Identifier: GPL-2.0-or-later
// random_damages JOB-DIRECTORY COUNT [SEED]: damages a copy of a job's published checkpoints again and again,
// in ways drawn at random, and looks each time whether reading everything finds it. What is not found must be
// harmless: then all that a restore would read is as it was. Prints the counts by kind, as JSON, and
// exits with 1 if a damage was neither found nor harmless. A disk that is a subvolume is copied as a
// directory.
#include <tlc/base/files.hpp>
#include <tlc/catalog/job_directory.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/disk/packed_disk.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <map>
#include <mutex>
#include <random>

#include "temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using namespace tlc;

// Everything a restore reads of a checkpoint, as one text.
Result<std::string> contents(const fs::path& directory) {
    TLC_TRY_ASSIGN(parts, CheckpointParts::open(directory));
    std::mutex mutex;
    uint64_t sum = 0;
    TLC_TRY(parts.image().for_each_chunk(
        2, [&](const ImageChunk&, std::span<const std::byte> data, const ImageChunkPages& pages) -> Status {
            for (size_t i = 0; i < pages.size(); ++i) {
                if (pages[i].block == ImagePageRef::no_block) continue;
                const auto hash = checksum(data.subspan(i * image_page_size, image_page_size));
                const std::lock_guard lock(mutex);
                sum += hash.low * (2 * (pages[i].page + (uint64_t{pages[i].block} << 40)) + 1);
            }
            return {};
        }));
    std::string text =
        fmt::format("{} {} {}", sum, checksum(parts.image().device_state()).text(), parts.image().digest());
    const auto& manifest = *parts.manifest();
    TLC_TRY_ASSIGN(manifest_as_text, manifest_text(manifest));
    text += manifest_as_text;
    if (parts.packed_disk()) {
        tlc::test::TemporaryDirectory live("/var/tmp");
        TLC_TRY(unpack_disk(directory, *parts.packed_disk(), live.path()));
        TLC_TRY_ASSIGN(disk, sum_disk(live.path()));
        return text + disk_sums_text(disk);
    }
    TLC_TRY_ASSIGN(disk, sum_disk(directory / manifest.disk->path));
    return text + disk_sums_text(disk);
}

Status verify(const Checkpoint& checkpoint) {
    if (checkpoint.error) return tl::unexpected(*checkpoint.error);
    TLC_TRY_ASSIGN(parts, CheckpointParts::open(checkpoint.directory));
    std::atomic<uint64_t> done{0};
    return parts.verify(done);
}

struct Damager {
    std::mt19937_64 random;

    uint64_t below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); }

    // Does it to `file`; `other` is the file of the same name in another checkpoint, if there is one.
    std::string damage(const fs::path& file, const std::optional<fs::path>& other) {
        const uint64_t size = fs::file_size(file);
        switch (below(7)) {
        case 0:
        case 1:
            if (size == 0) break;
            flip(file, below(size));
            return "bit flip";
        case 2:
            if (size == 0) break;
            fs::resize_file(file, below(size));
            return "truncated";
        case 3:
            fs::remove(file);
            return "missing";
        case 4:
            if (size == 0) break;
            fs::resize_file(file, 0);
            fs::resize_file(file, size);
            return "zero-filled";
        case 5: {
            // A stretch of zeros, as a lost write leaves it.
            if (size == 0) break;
            const uint64_t at = below(size) / 512 * 512;
            std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
            stream.seekp(static_cast<std::streamoff>(at));
            stream << std::string(std::min<uint64_t>(4096, size - at), '\0');
            return "lost write";
        }
        default:
            if (!other) break;
            fs::copy_file(*other, file, fs::copy_options::overwrite_existing);
            return "swapped";
        }
        std::ofstream(file, std::ios::binary | std::ios::app) << "more";
        return "appended to";
    }

    void flip(const fs::path& file, uint64_t at) {
        std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
        stream.seekg(static_cast<std::streamoff>(at));
        const int old = stream.get();
        stream.seekp(static_cast<std::streamoff>(at));
        stream.put(static_cast<char>(old ^ (1 << below(8))));
    }
};

std::vector<fs::path> files_of(const fs::path& directory) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(directory))
        if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

Status run(const fs::path& source, uint64_t count, uint64_t seed) {
    const tlc::test::TemporaryDirectory work("/var/tmp");
    const auto copy = work / source.filename().string();
    fs::create_directory(copy);
    fs::permissions(copy, fs::perms::owner_all);
    TLC_TRY_ASSIGN(from, JobDirectory::open(source));
    TLC_TRY_ASSIGN(published, from.list());
    for (const auto& checkpoint : published)
        fs::copy(checkpoint.directory, copy / checkpoint.directory.filename(), fs::copy_options::recursive);
    fs::create_directory(copy / "epochs");
    TLC_TRY_ASSIGN(job, JobDirectory::open(copy));
    TLC_TRY_ASSIGN(checkpoints, job.list());
    if (checkpoints.size() < 2) return fail("{} checkpoints are too few", checkpoints.size());
    std::map<uint64_t, std::string> right;
    for (const auto& checkpoint : checkpoints) {
        TLC_TRY(verify(checkpoint));
        TLC_TRY_ASSIGN(text, contents(checkpoint.directory));
        right[checkpoint.sequence] = text;
    }

    Damager damager{std::mt19937_64(seed)};
    std::map<std::string, std::map<std::string, uint64_t>> counts;
    uint64_t wrong = 0;
    const auto saved = work / "saved";
    for (uint64_t n = 0; n < count; ++n) {
        const auto& checkpoint = checkpoints[damager.below(checkpoints.size())];
        const auto& elsewhere = checkpoints[damager.below(checkpoints.size())];
        const auto files = files_of(checkpoint.directory);
        const auto file = files[damager.below(files.size())];
        const auto relative = fs::relative(file, checkpoint.directory);
        std::optional<fs::path> other = elsewhere.directory / relative;
        if (elsewhere.sequence == checkpoint.sequence || !fs::exists(*other) || fs::equivalent(*other, file))
            other.reset();
        fs::copy_file(file, saved, fs::copy_options::overwrite_existing);
        const auto kind = damager.damage(file, other);
        // As a restore does: by the list, then everything of it.
        TLC_TRY_ASSIGN(now, job.list());
        const auto found = std::find_if(now.begin(), now.end(),
                                        [&](const auto& c) { return c.directory == checkpoint.directory; });
        std::string outcome;
        if (found == now.end()) {
            outcome = "not listed";
        } else if (const auto verdict = verify(*found); !verdict) {
            outcome = "found";
            const bool named =
                verdict.error().message.find(checkpoint.directory.filename().string()) != std::string::npos ||
                verdict.error().message.find(relative.filename().string()) != std::string::npos;
            if (!named) {
                fmt::print(stderr, "unnamed: {} of {}: {}\n", kind, relative.string(),
                           verdict.error().message);
                outcome = "found, not named";
                ++wrong;
            }
        } else {
            const auto text = contents(checkpoint.directory);
            outcome = text && *text == right[checkpoint.sequence] ? "harmless" : "WRONG";
            if (outcome == "WRONG") {
                ++wrong;
                fmt::print(stderr, "not found: {} of {} in {}\n", kind, relative.string(),
                           checkpoint.directory.string());
            }
        }
        ++counts[kind][outcome];
        fs::remove(file);
        fs::rename(saved, file);
    }
    fmt::print(
        "{}\n",
        nlohmann::json({{"damages", count}, {"seed", seed}, {"wrong", wrong}, {"by_kind", counts}}).dump(1));
    return wrong == 0 ? Status{} : fail("{} damages were not found", wrong);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const auto done = run(argv[1], std::stoull(argv[2]), argc > 3 ? std::stoull(argv[3]) : 1);
    if (done) return 0;
    fmt::print(stderr, "random_damages: {}\n", done.error().message);
    return 1;
}
