// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/process.hpp>
#include <tlc/base/units.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/stage/job_cpio.hpp>
#include <tlc/stage/read_back.hpp>
#include <tlc/stage/work_disk.hpp>
#include <tlc/supervisor/guest_setup.hpp>

#include <sys/sendfile.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace tlc {
namespace {

Status append(int to, const std::filesystem::path& from) {
    TLC_TRY_ASSIGN(source, open_file(from, O_RDONLY));
    for (;;) {
        const ssize_t n = ::sendfile(to, source.get(), nullptr, size_t{1} << 30);
        if (n == 0) return {};
        if (n < 0 && errno != EINTR) return fail_errno(errno, fmt::format("cannot copy {}", from.string()));
    }
}

std::vector<gid_t> supplementary_groups() {
    std::vector<gid_t> groups(static_cast<size_t>(std::max(0, ::getgroups(0, nullptr))));
    const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
    groups.resize(static_cast<size_t>(std::max(0, count)));
    return groups;
}

mode_t current_umask() {
    const mode_t mask = ::umask(022);
    ::umask(mask);
    return mask;
}

JobDescription describe_job(const Job& job, bool merge_output) {
    JobDescription out;
    out.argv.push_back(job.script.string());
    out.argv.insert(out.argv.end(), job.arguments.begin(), job.arguments.end());
    out.environment = job.environment;
    out.cwd = job.directory.string();
    out.uid = ::getuid();
    out.gid = ::getgid();
    out.groups = supplementary_groups();
    const passwd* user = ::getpwuid(out.uid);
    out.user = user != nullptr ? user->pw_name : fmt::format("u{}", out.uid);
    out.home = user != nullptr ? user->pw_dir : "/tmp";
    const group* primary = ::getgrgid(out.gid);
    out.group = primary != nullptr ? primary->gr_name : fmt::format("g{}", out.gid);
    out.hostname = host_name();
    out.merge_output = merge_output;
    out.umask = current_umask();
    return out;
}

// Files that are written while the job runs and must not travel with it: its outputs and its checkpoints.
std::vector<std::string> excluded(const Job& job) {
    std::vector<std::string> out;
    const auto add = [&](const std::filesystem::path& path) {
        const auto relative = path.lexically_relative(job.directory);
        if (!relative.empty() && *relative.begin() != ".." && relative != ".")
            out.push_back(relative.string());
    };
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
        std::error_code error;
        const auto path = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), error);
        if (!error && path.is_absolute()) add(path);
    }
    add(job.request.checkpoint_dir);
    return out;
}

// The work disk as one raw image: itself, or put together from its overlays.
Result<std::filesystem::path> whole_work_disk(const std::filesystem::path& live) {
    TLC_TRY_ASSIGN(newest, newest_image(live, "work"));
    const auto path = live / newest.file;
    if (newest.raw()) return path;
    const auto whole = live / "work.whole";
    TLC_TRY_ASSIGN(
        output, run({"qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", path.string(), whole.string()},
                    true, std::chrono::minutes(30)));
    if (output.status.code == 0) return whole;
    ::unlink(whole.c_str());
    return fail("qemu-img cannot put {} together ({}): {}", path.string(), output.status.text(), output.text);
}

} // namespace

Status prepare_root_disk(const std::filesystem::path& image, const std::filesystem::path& root) {
    TLC_TRY_ASSIGN(format, guest_image_format(image));
    TLC_TRY_ASSIGN(output, run({"qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", image.string(),
                                root.string()}));
    if (output.status.code != 0) return fail("qemu-img cannot make {}: {}", root.string(), output.text);
    return {};
}

Status prepare_work_disk(const Job& job, const SiteConfig& config, const std::filesystem::path& work) {
    WorkDiskRequest request;
    request.image = work;
    request.size = config.job.work_disk_bytes;
    request.cwd = job.directory;
    request.stage_in = job.request.stage_in;
    request.exclude = excluded(job);
    // "none" stages what an empty directory holds.
    const auto nothing = work.parent_path() / "nothing";
    const bool none = stages_nothing(job.request.stage_in);
    if (none) {
        TLC_TRY(make_directory(nothing));
        request.cwd = nothing;
        request.stage_in.clear();
    }
    request.limit = config.job.stage_limit_bytes;
    request.uid = ::getuid();
    request.gid = ::getgid();
    TLC_TRY_ASSIGN(staged, make_work_disk(request));
    if (none) ::rmdir(nothing.c_str());
    log::info("staged in files={} size={}", staged.files, size_text(staged.bytes));
    for (const auto& skipped : staged.skipped)
        log::warning("not staged in, it is no file, directory or link: {}", skipped);
    return {};
}

Status prepare_initramfs(const Job& job, const SiteConfig& config, bool merge_output,
                         const std::filesystem::path& initramfs) {
    const auto archive = initramfs.parent_path() / "job.cpio";
    TLC_TRY(write_job_cpio(archive, describe_job(job, merge_output), job.script));
    std::error_code ignored;
    std::filesystem::remove(initramfs, ignored);
    TLC_TRY_ASSIGN(whole, open_file(initramfs, O_WRONLY | O_CREAT | O_EXCL));
    TLC_TRY(append(whole.get(), config.paths.initramfs));
    // The kernel looks for the next archive at a multiple of four bytes.
    const auto size = ::lseek(whole.get(), 0, SEEK_CUR);
    const std::array<std::byte, 4> zeros{};
    TLC_TRY(write_all(whole.get(), std::span(zeros).first(static_cast<size_t>((4 - size % 4) % 4))));
    return append(whole.get(), archive);
}

Status stage_out(const Job& job, const std::filesystem::path& live) {
    if (stages_nothing(job.request.stage_out)) return {};
    TLC_TRY_ASSIGN(work, whole_work_disk(live));
    TLC_TRY_ASSIGN(summary, read_back({work, job.directory, job.request.stage_out, excluded(job),
                                       job.request.stage_in}));
    log::info("staged out files={} size={} unchanged={}", summary.files, size_text(summary.bytes),
              summary.unchanged);
    for (const auto& problem : summary.problems)
        log::error("not staged out: {}", problem);
    if (!summary.problems.empty())
        return fail("{} of the job's files, the first: {}", summary.problems.size(),
                    summary.problems.front());
    return {};
}

} // namespace tlc
