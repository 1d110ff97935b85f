// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/machine.hpp>
#include <guest/root.hpp>
#include <guest/work.hpp>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <unistd.h>

namespace tlc::guest {
namespace {

using namespace std::chrono_literals;

std::string tmp_directory(const Job& job) { return job.cwd + "/.tlc-tmp"; }

bool unmount(const std::string& path) {
    for (int tries = 0; tries < 20; ++tries) {
        if (::umount2(path.c_str(), 0) == 0) return true;
        if (errno != EBUSY) return false;
        std::this_thread::sleep_for(100ms);
    }
    return false;
}

} // namespace

Status mount_work(const std::string& disk, const Job& job) {
    TLC_TRY(make_directories(job.cwd, job));
    TLC_TRY(mount_at(disk, job.cwd, "ext4", MS_NOATIME | MS_NODEV));
    if (!job.tmp_on_work) return {};
    const std::string tmp = tmp_directory(job);
    if ((::mkdir(tmp.c_str(), 01777) != 0 && errno != EEXIST) || ::chmod(tmp.c_str(), 01777) != 0)
        return fail_errno(errno, "making " + tmp);
    return mount_at(tmp, "/tmp", nullptr, MS_BIND);
}

void release_disks(const Job& job) {
    ::sync();
    if (job.tmp_on_work) {
        (void)unmount("/tmp");
        std::error_code ignored;
        std::filesystem::remove_all(tmp_directory(job), ignored);
    }
    if (!unmount(job.cwd)) {
        say_on_console("the work disk is still in use; it is made read-only instead");
        (void)::mount(nullptr, job.cwd.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
    }
    ::sync();
    if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
        say_on_console("the root disk could not be made read-only");
}

} // namespace tlc::guest
