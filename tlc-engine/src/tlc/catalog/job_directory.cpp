// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/catalog/job_directory.hpp>
#include <tlc/catalog/numbered.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

Status check_owned(const fs::path& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT)
            return fail(ErrorKind::no_checkpoint, "there is no job directory {}", path.string());
        return fail_errno(errno, fmt::format("cannot look at {}", path.string()));
    }
    if (S_ISLNK(info.st_mode)) return fail("{} is a symbolic link: give the directory itself", path.string());
    if (!S_ISDIR(info.st_mode)) return fail("{} is not a directory", path.string());
    if (info.st_uid != ::geteuid())
        return fail("{} belongs to user {}, not to you (user {})", path.string(), info.st_uid, ::geteuid());
    if ((info.st_mode & 077) != 0)
        return fail("others may enter {}, which holds the job's memory: run chmod 700 {}", path.string(),
                    path.string());
    return {};
}

Status check_name(std::string_view what, std::string_view text) {
    const bool good = !text.empty() && text.size() <= 100 && text.front() != '.' &&
                      std::all_of(text.begin(), text.end(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                 c == '.' || c == '_' || c == '-';
                      });
    if (good) return {};
    return fail(ErrorKind::usage, "invalid {} \"{}\" (letters, digits, '.', '_' and '-' are possible)", what,
                text);
}

// fsync of a directory and of those above it in its file system, as far as we may read them. They may be new:
// made by us, or by a run that died before they were durable.
Status sync_upwards(const fs::path& path) {
    std::error_code error;
    fs::path at = fs::canonical(path, error);
    if (error) return fail_errno(error.value(), fmt::format("cannot look at {}", path.string()));
    TLC_TRY(sync_path(at));
    struct stat below {};
    if (::stat(at.c_str(), &below) != 0)
        return fail_errno(errno, fmt::format("cannot look at {}", at.string()));
    while (at.has_relative_path()) {
        at = at.parent_path();
        struct stat info {};
        if (::stat(at.c_str(), &info) != 0 || info.st_dev != below.st_dev || ::access(at.c_str(), R_OK) != 0)
            break;
        TLC_TRY(sync_path(at));
    }
    return {};
}

// Makes `name(n)` for the first n from `first` on that nobody has taken, durably.
template <typename Name>
Result<uint64_t> claim(uint64_t first, Name name) {
    constexpr int attempts = 1000;
    for (uint64_t n = first; n < first + attempts; ++n) {
        const fs::path path = name(n);
        auto made = make_directory(path);
        if (!made && made.error().kind == ErrorKind::busy) continue;
        TLC_TRY(std::move(made));
        TLC_TRY(sync_path(path.parent_path()));
        return n;
    }
    return fail(ErrorKind::busy, "other processes keep taking {}", name(first).string());
}

constexpr uint64_t claims_kept = 64;

} // namespace

std::optional<uint64_t> number_of(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    if (name.empty() || name.size() > 18) return std::nullopt;
    uint64_t number = 0;
    for (const char c : name) {
        if (c < '0' || c > '9') return std::nullopt;
        number = number * 10 + static_cast<uint64_t>(c - '0');
    }
    return number;
}

Result<std::vector<uint64_t>> numbered_entries(const fs::path& directory, std::string_view prefix) {
    std::vector<uint64_t> numbers;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
        if (const auto number = number_of(at->path().filename().string(), prefix)) numbers.push_back(*number);
    if (error && error != std::errc::no_such_file_or_directory)
        return fail_errno(error.value(), fmt::format("cannot list {}", directory.string()));
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

Result<JobDirectory> JobDirectory::create(const fs::path& root, std::string_view cluster,
                                          std::string_view job_id) {
    TLC_TRY(check_name("cluster name", cluster));
    TLC_TRY(check_name("job id", job_id));
    std::error_code error;
    fs::create_directories(root, error);
    if (error) return fail_errno(error.value(), fmt::format("cannot create {}", root.string()));
    const fs::path path = root / fmt::format("{}-{}", cluster, job_id);
    if (auto made = make_directory(path); !made && made.error().kind != ErrorKind::busy)
        return tl::unexpected<Error>(made.error());
    TLC_TRY_ASSIGN(job, open(path));
    for (const char* claims : {"epochs", "sequences"})
        if (auto made = make_directory(path / claims); !made && made.error().kind != ErrorKind::busy)
            return tl::unexpected<Error>(made.error());
    TLC_TRY(sync_path(path));
    TLC_TRY(sync_upwards(root));
    return job;
}

Result<JobDirectory> JobDirectory::open(const fs::path& path) {
    // Without the slash a symbolic link would be followed before it is looked at.
    const fs::path plain = path.has_filename() ? path : path.parent_path();
    TLC_TRY(check_owned(plain));
    return JobDirectory(plain);
}

Result<JobDirectory> JobDirectory::of_checkpoint(const fs::path& checkpoint_directory) {
    const fs::path plain =
        checkpoint_directory.has_filename() ? checkpoint_directory : checkpoint_directory.parent_path();
    return open(plain.has_parent_path() ? plain.parent_path() : fs::path("."));
}

fs::path JobDirectory::live_directory(uint64_t epoch) const { return path_ / fmt::format("live-{}", epoch); }

fs::path JobDirectory::checkpoint_directory(uint64_t sequence) const {
    return path_ / fmt::format("{:06}", sequence);
}

Result<uint64_t> JobDirectory::newest_epoch() const {
    TLC_TRY_ASSIGN(epochs, numbered_entries(path_ / "epochs"));
    return epochs.empty() ? 0 : epochs.back();
}

Result<uint64_t> JobDirectory::claim_epoch() const {
    TLC_TRY_ASSIGN(newest, newest_epoch());
    return claim(newest + 1, [&](uint64_t n) { return path_ / "epochs" / std::to_string(n); });
}

Status JobDirectory::note(uint64_t epoch, const char* what) const {
    auto made = make_directory(path_ / "epochs" / std::to_string(epoch) / what);
    return made || made.error().kind == ErrorKind::busy ? Status{} : made;
}

Result<bool> JobDirectory::noted(uint64_t epoch, const char* what) const {
    std::error_code error;
    const auto path = path_ / "epochs" / std::to_string(epoch) / what;
    const bool there = fs::exists(path, error);
    if (error) return fail_errno(error.value(), fmt::format("cannot look at {}", path.string()));
    return there;
}

Status JobDirectory::close_epoch(uint64_t epoch) const { return note(epoch, "closed"); }
Result<bool> JobDirectory::epoch_closed(uint64_t epoch) const { return noted(epoch, "closed"); }
Status JobDirectory::hold_epoch(uint64_t epoch) const { return note(epoch, "held"); }

Result<uint64_t> JobDirectory::newest_held_epoch() const {
    TLC_TRY_ASSIGN(epochs, numbered_entries(path_ / "epochs"));
    for (auto epoch = epochs.rbegin(); epoch != epochs.rend(); ++epoch) {
        TLC_TRY_ASSIGN(held, noted(*epoch, "held"));
        if (held) return *epoch;
    }
    return 0;
}

Result<uint64_t> JobDirectory::newest_sequence() const {
    TLC_TRY_ASSIGN(taken, numbered_entries(path_));
    TLC_TRY_ASSIGN(claimed, numbered_entries(path_ / "sequences"));
    return std::max(taken.empty() ? 0 : taken.back(), claimed.empty() ? 0 : claimed.back());
}

Result<ClaimedCheckpoint> JobDirectory::claim_checkpoint(uint64_t least) const {
    TLC_TRY_ASSIGN(newest, newest_sequence());
    const fs::path claims = path_ / "sequences";
    // Not there yet: the directory is an older version's.
    if (auto made = make_directory(claims); !made && made.error().kind != ErrorKind::busy)
        return tl::unexpected<Error>(made.error());
    TLC_TRY_ASSIGN(
        sequence, claim(std::max(least, newest + 1), [&](uint64_t n) { return claims / std::to_string(n); }));
    // Only the highest say something; nobody is as far behind as that.
    if (sequence > claims_kept) ::rmdir((claims / std::to_string(sequence - claims_kept)).c_str());
    return claim_checkpoint_as(sequence);
}

Result<ClaimedCheckpoint> JobDirectory::claim_checkpoint_as(uint64_t sequence) const {
    TLC_TRY(make_directory(checkpoint_directory(sequence)));
    TLC_TRY(sync_path(path_));
    return ClaimedCheckpoint{sequence, checkpoint_directory(sequence)};
}

Status JobDirectory::fence(uint64_t epoch) const {
    TLC_TRY_ASSIGN(newest, newest_epoch());
    if (newest <= epoch) return {};
    return fail(ErrorKind::busy, "epoch {} of {} is over: epoch {} runs the job now", epoch, path_.string(),
                newest);
}

Status JobDirectory::publish(const Manifest& manifest, uint64_t owner) const {
    const fs::path directory = checkpoint_directory(manifest.sequence);
    const fs::path file = directory / "manifest.json";
    TLC_TRY_ASSIGN(text, manifest_text(manifest));
    TLC_TRY(check_parts(manifest, directory));
    struct stat info {};
    if (::lstat(file.c_str(), &info) == 0) return fail(ErrorKind::busy, "{} exists already", file.string());
    if (errno != ENOENT) return fail_errno(errno, fmt::format("cannot look at {}", file.string()));
    TLC_TRY(sync_path(directory));
    TLC_TRY(fence(owner != 0 ? owner : manifest.epoch));
    return publish_text(file, text);
}

Result<std::vector<Checkpoint>> JobDirectory::list() const {
    TLC_TRY_ASSIGN(sequences, numbered_entries(path_));
    std::vector<Checkpoint> checkpoints;
    for (const uint64_t sequence : sequences) {
        Checkpoint checkpoint{sequence, checkpoint_directory(sequence), std::nullopt, std::nullopt};
        auto manifest = read_manifest(checkpoint.directory);
        if (!manifest && manifest.error().kind == ErrorKind::no_checkpoint) continue;
        if (!manifest) {
            checkpoint.error = manifest.error();
        } else {
            checkpoint.manifest = std::move(*manifest);
            if (checkpoint.manifest->sequence != sequence)
                checkpoint.error =
                    Error{ErrorKind::damaged,
                          fmt::format("{} is the manifest of checkpoint {}", checkpoint.directory.string(),
                                      checkpoint.manifest->sequence)};
            else if (auto parts = check_parts(*checkpoint.manifest, checkpoint.directory); !parts)
                checkpoint.error = parts.error();
        }
        checkpoints.push_back(std::move(checkpoint));
    }
    sort_newest_first(checkpoints);
    return checkpoints;
}

Result<Checkpoint> JobDirectory::newest() const {
    TLC_TRY_ASSIGN(checkpoints, list());
    std::string damage;
    for (auto& checkpoint : checkpoints) {
        if (checkpoint.whole()) return std::move(checkpoint);
        damage += fmt::format("; {}", checkpoint.error ? checkpoint.error->message : "");
    }
    return fail(ErrorKind::no_checkpoint, "{} has no whole checkpoint{}", path_.string(), damage);
}

Result<std::vector<JobDirectory>> list_job_directories(const fs::path& root) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator at(root, error), end; !error && at != end; at.increment(error))
        paths.push_back(at->path());
    if (error && error != std::errc::no_such_file_or_directory)
        return fail_errno(error.value(), fmt::format("cannot list {}", root.string()));
    std::sort(paths.begin(), paths.end());
    std::vector<JobDirectory> jobs;
    for (const auto& path : paths)
        if (auto job = JobDirectory::open(path); job && fs::is_directory(path / "epochs", error))
            jobs.push_back(std::move(*job));
    return jobs;
}

} // namespace tlc
