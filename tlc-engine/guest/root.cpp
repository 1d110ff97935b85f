// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>

#include <guest/accounts.hpp>
#include <guest/machine.hpp>
#include <guest/root.hpp>
#include <guest/root_disk.hpp>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <unistd.h>

namespace tlc::guest {
namespace {

namespace fs = std::filesystem;

bool lies_below(const std::string& path, const std::string& directory) {
    return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

Status edit(const char* path, const std::function<std::string(std::string)>& change) {
    std::string text;
    if (auto old = read_text(path)) text = *old;
    std::string changed = change(text);
    if (changed == text && fs::exists(path)) return {};
    return publish_text(path, changed, 0644);
}

void raise_limit(__rlimit_resource which, rlim_t soft, rlim_t hard) {
    const rlimit limit{soft, hard};
    (void)::setrlimit(which, &limit);
}

} // namespace

Status switch_to_root(const std::string& disk) {
    TLC_TRY(mount_system(disk, "/sysroot"));
    std::error_code none;
    for (const char* directory : {"/dev", "/proc", "/sys"}) {
        const std::string to = std::string("/sysroot") + directory;
        fs::create_directories(to, none);
        if (::mount(directory, to.c_str(), nullptr, MS_MOVE, nullptr) != 0)
            return fail_errno(errno, std::string("moving ") + directory);
    }
    for (const char* left : {"/modules", "/modules.list", "/job", "/init"})
        fs::remove_all(left, none);
    if (::chdir("/sysroot") != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 ||
        ::chdir("/") != 0)
        return fail_errno(errno, "changing to the root disk");
    return {};
}

Status make_directories(const std::string& path, const Job& job) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (::mkdir(part.c_str(), 0755) == 0) {
            if (::chmod(part.c_str(), 0755) != 0) return fail_errno(errno, "making " + part);
            if (lies_below(part, job.home) && ::chown(part.c_str(), job.uid, job.gid) != 0)
                return fail_errno(errno, "giving " + part + " to the job's user");
        } else if (errno != EEXIST) {
            return fail_errno(errno, "making the directory " + part);
        }
        if (end == std::string::npos) return {};
    }
}

Status prepare_root(const Job& job) {
    TLC_TRY(edit("/etc/passwd", [&](std::string text) { return with_user(std::move(text), job); }));
    TLC_TRY(edit("/etc/group", [&](std::string text) { return with_groups(std::move(text), job); }));
    TLC_TRY(edit("/etc/hosts", [&](std::string text) { return with_host(std::move(text), job.hostname); }));
    TLC_TRY(edit("/etc/hostname", [&](const std::string&) { return job.hostname + "\n"; }));
    const bool home_is_there = fs::exists(job.home);
    TLC_TRY(make_directories(job.home, job));
    if (!home_is_there &&
        (::chown(job.home.c_str(), job.uid, job.gid) != 0 || ::chmod(job.home.c_str(), 0700) != 0))
        return fail_errno(errno, "giving " + job.home + " to the job's user");
    raise_limit(RLIMIT_NOFILE, 1024, 524288);
    raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    raise_limit(RLIMIT_NPROC, RLIM_INFINITY, RLIM_INFINITY);
    raise_limit(RLIMIT_STACK, rlim_t{8} << 20, RLIM_INFINITY);
    return {};
}

Result<std::string> install_script(const Job& job, std::string_view script) {
    const std::string path = "/run/tlc/job_script";
    TLC_TRY(make_directories("/run/tlc", job));
    TLC_TRY(publish_text(path, script, 0755));
    if (::chmod(path.c_str(), 0755) != 0 || ::chown(path.c_str(), job.uid, job.gid) != 0)
        return fail_errno(errno, "giving the script to the job's user");
    const std::string& name = job.argv[0];
    std::error_code none;
    // Not on the work disk: the link would come back with the job's files.
    if (name[0] != '/' || lies_below(name, job.cwd) || fs::exists(fs::symlink_status(name, none)))
        return path;
    if (!make_directories(fs::path(name).parent_path(), job) || ::symlink(path.c_str(), name.c_str()) != 0)
        return path;
    return name;
}

} // namespace tlc::guest
