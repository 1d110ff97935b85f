// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/catalog/job_directory.hpp>
#include <tlc/catalog/numbered.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

Status remove_tree(const fs::path& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return fail_errno(error.value(), fmt::format("cannot remove {}", path.string()));
    return {};
}

} // namespace

void sort_newest_first(std::vector<Checkpoint>& checkpoints_by_sequence) {
    std::vector<std::pair<uint64_t, size_t>> order; // epoch, index
    uint64_t epoch = 0;
    for (size_t i = 0; i < checkpoints_by_sequence.size(); ++i) {
        if (const auto& manifest = checkpoints_by_sequence[i].manifest) epoch = manifest->epoch;
        order.emplace_back(epoch, i);
    }
    std::sort(order.rbegin(), order.rend());
    std::vector<Checkpoint> sorted;
    sorted.reserve(order.size());
    for (const auto& entry : order)
        sorted.push_back(std::move(checkpoints_by_sequence[entry.second]));
    checkpoints_by_sequence = std::move(sorted);
}

Status JobDirectory::remove(uint64_t sequence, const Remover& remove_disk) const {
    const fs::path directory = checkpoint_directory(sequence);
    struct stat info {};
    if (::lstat(directory.c_str(), &info) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno(errno, fmt::format("cannot look at {}", directory.string()));
    }
    // The name of the disk part is known without the manifest too: every directory in a checkpoint is one.
    const fs::path manifest = directory / "manifest.json";
    if (::unlink(manifest.c_str()) != 0 && errno != ENOENT)
        return fail_errno(errno, fmt::format("cannot remove {}", manifest.string()));
    // Also if it was gone: who removed it may have died before that was durable.
    TLC_TRY(sync_path(directory));
    std::error_code error;
    std::vector<fs::path> parts;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
        if (at->is_directory(error) && !at->is_symlink(error)) parts.push_back(at->path());
    if (error) return fail_errno(error.value(), fmt::format("cannot list {}", directory.string()));
    for (const auto& part : parts)
        TLC_TRY(remove_disk(part));
    return remove_tree(directory);
}

namespace {

// Names of the files that hold a checkpoint's memory and a packed disk, the same for the same file
// everywhere.
std::set<std::string> memory_files(const Manifest& manifest) {
    std::set<std::string> names{"older-" + manifest.memory.identity + ".h5"};
    for (const auto& [name, size] : manifest.memory.older)
        names.insert(name);
    if (manifest.disk)
        for (const auto& [name, size] : manifest.disk->packs)
            names.insert(name);
    return names;
}

bool share_a_file(const Manifest& a, const Manifest& b) {
    const auto names = memory_files(a);
    const auto others = memory_files(b);
    return std::any_of(names.begin(), names.end(), [&](const auto& name) { return others.contains(name); });
}

} // namespace

// One damaged file must not take all that is kept: beyond `keep` the newest that shares none with the newest
// of all stays, too.
Result<std::vector<Checkpoint>> JobDirectory::prunable(size_t keep, const std::set<fs::path>& damaged) const {
    TLC_TRY_ASSIGN(checkpoints, list());
    std::vector<Checkpoint> out;
    size_t whole = 0;
    std::optional<Manifest> newest;
    bool independent = keep <= 1; // whoever keeps one wants one
    for (auto& checkpoint : checkpoints) {
        const bool good = checkpoint.whole() && !damaged.contains(checkpoint.directory);
        const bool apart = good && newest && !share_a_file(*newest, *checkpoint.manifest);
        if (whole >= std::max<size_t>(keep, 1) && (independent || !apart)) {
            out.push_back(std::move(checkpoint));
            continue;
        }
        if (!good) continue;
        if (!newest) newest = checkpoint.manifest;
        independent |= apart;
        ++whole;
    }
    return out;
}

Result<size_t> JobDirectory::prune(size_t keep, const Remover& remove_disk) const {
    TLC_TRY_ASSIGN(superfluous, prunable(keep));
    for (const auto& checkpoint : superfluous)
        TLC_TRY(remove(checkpoint.sequence, remove_disk));
    return superfluous.size();
}

Status JobDirectory::remove_all(const Remover& remove_disk) const {
    TLC_TRY_ASSIGN(sequences, numbered_entries(path_));
    for (const uint64_t sequence : sequences)
        TLC_TRY(remove(sequence, remove_disk));
    TLC_TRY_ASSIGN(lives, numbered_entries(path_, "live-"));
    for (const uint64_t epoch : lives)
        TLC_TRY(remove_disk(live_directory(epoch)));
    return remove_tree(path_);
}

Status JobDirectory::sweep_checkpoint(uint64_t sequence, const Remover& remove_disk) const {
    const fs::path directory = checkpoint_directory(sequence);
    const auto manifest = read_manifest(directory);
    if (!manifest && manifest.error().kind == ErrorKind::no_checkpoint) return remove(sequence, remove_disk);
    // The run that published it may have died before that was durable. From now on it is built on and
    // counted.
    TLC_TRY(sync_path(directory));
    std::error_code error;
    std::vector<fs::path> temporary;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
        if (at->path().filename().string().starts_with("manifest.json.")) temporary.push_back(at->path());
    for (const auto& path : temporary)
        TLC_TRY(remove_tree(path));
    return {};
}

Status JobDirectory::sweep(uint64_t epoch, const Remover& remove_disk) const {
    TLC_TRY(fence(epoch));
    TLC_TRY_ASSIGN(sequences, numbered_entries(path_));
    TLC_TRY_ASSIGN(lives, numbered_entries(path_, "live-"));
    // What cannot be removed stays, and the rest goes.
    Status first;
    const auto note = [&first](Status status) {
        if (first && !status) first = std::move(status);
    };
    for (const uint64_t sequence : sequences)
        note(sweep_checkpoint(sequence, remove_disk));
    for (const uint64_t live : lives)
        if (live < epoch) note(remove_disk(live_directory(live)));
    return first;
}

} // namespace tlc
