// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/supervisor/job_file.hpp>
#include <tlc/supervisor/local_store.hpp>

namespace tlc {
namespace {

namespace fs = std::filesystem;

// Says whose it is: the path of the job's directory and, on a second line, what tells it from a later one of
// the same name.
constexpr const char* owner_file = "owner";

std::string owner_of(const JobDirectory& directory) {
    std::error_code error;
    // The job's own file is written once, at its first start; before that there is nothing to come back to.
    const auto written = fs::last_write_time(directory.job_file(), error);
    const auto stamp = error ? 0 : written.time_since_epoch().count();
    return fmt::format("{}\n{}\n", directory.path().string(), stamp);
}

Status remove_all(const JobDirectory& store) { return store.remove_all(remove_disk); }

bool is_over(const JobDirectory& store) {
    const auto owner = read_text(store.path() / owner_file);
    if (!owner) return false;
    const fs::path path = owner->substr(0, owner->find('\n'));
    const auto directory = JobDirectory::open(path);
    // Not there may mean that its file system is not mounted at the moment.
    if (!directory) return false;
    return read_job_result(path).has_value() || owner_of(*directory) != *owner;
}

} // namespace

Result<JobDirectory> open_store(const JobDirectory& directory, const fs::path& local_dir) {
    if (local_dir.empty()) return directory;
    TLC_TRY_ASSIGN(others, list_job_directories(local_dir));
    for (const auto& store : others) {
        if (!is_over(store)) continue;
        if (auto removed = remove_all(store); !removed) log::warning("{}", removed.error().message);
    }
    const std::string name = directory.path().filename().string();
    const auto dash = name.find('-');
    const auto own = local_dir / name;
    // Not before it is known to be ours: who made it could have put anything there.
    std::error_code error;
    if (fs::exists(fs::symlink_status(own, error))) TLC_TRY(JobDirectory::open(own));
    const auto owner = read_text(own / owner_file);
    if (owner && *owner != owner_of(directory))
        return fail(
            ErrorKind::busy,
            "{} holds what another job of the same name has left on this node ({}); remove it if that job "
            "is not to be continued here",
            own.string(), owner->substr(0, owner->find('\n')));
    TLC_TRY_ASSIGN(store, JobDirectory::create(local_dir, name.substr(0, dash), name.substr(dash + 1)));
    TLC_TRY(publish_text(store.path() / owner_file, owner_of(directory)));
    return store;
}

Status remove_store(const JobDirectory& directory, const JobDirectory& store) {
    return store.path() == directory.path() ? Status{} : remove_all(store);
}

} // namespace tlc
