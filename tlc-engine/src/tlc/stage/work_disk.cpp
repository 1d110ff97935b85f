// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/process.hpp>
#include <tlc/base/units.hpp>
#include <tlc/stage/ext4.hpp>
#include <tlc/stage/selection.hpp>
#include <tlc/stage/tools.hpp>
#include <tlc/stage/work_disk.hpp>

#include <cerrno>
#include <fcntl.h>
#include <map>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

Status format(const WorkDiskRequest& request, const Fd& file) {
    if (::ftruncate(file.get(), static_cast<off_t>(request.size)) != 0)
        return fail_errno(errno, "making the work disk " + request.image.string());
    TLC_TRY_ASSIGN(output,
                   run({system_tool("mke2fs"), "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0",
                        "-L", "tlc-work", "-E",
                        fmt::format("assume_storage_prezeroed=1,root_owner={}:{}", request.uid, request.gid),
                        request.image.string()}));
    if (output.status.code != 0)
        return fail("mke2fs could not make the work disk {} of {} ({}): {}", request.image.string(),
                    size_text(request.size), output.status.text(), output.text);
    return {};
}

Status fill(const WorkDiskRequest& request, const Selection& selection) {
    TLC_TRY_ASSIGN(disk, Ext4::open(request.image, true));
    std::map<std::string, Ext4::Inode> directories{{"", Ext4::root}};
    for (const auto& [path, info] : selection.entries) {
        const fs::path relative(path);
        const fs::path source = request.cwd / relative;
        const Ext4::New entry{directories.at(relative.parent_path().string()),
                              relative.filename().string(),
                              path,
                              info,
                              request.uid,
                              request.gid};
        if (S_ISDIR(info.st_mode)) {
            TLC_TRY_ASSIGN(inode, disk.add_directory(entry));
            directories[path] = inode;
        } else if (S_ISLNK(info.st_mode)) {
            std::error_code error;
            const fs::path target = fs::read_symlink(source, error);
            if (error) return fail_errno(error.value(), "reading the link " + source.string());
            TLC_TRY(disk.add_link(entry, target.string()));
        } else {
            TLC_TRY_ASSIGN(file, open_file(source, O_RDONLY));
            TLC_TRY(disk.add_file(entry, file.get()));
        }
    }
    return disk.close();
}

} // namespace

Result<StageSummary> make_work_disk(const WorkDiskRequest& request) {
    TLC_TRY_ASSIGN(selection, select_files({request.cwd, request.stage_in, request.exclude, request.limit}));
    if (selection.bytes > request.size)
        return fail(ErrorKind::no_space,
                    "the job's files are {}, its work disk is {}; name fewer files with --vm-stage-in=LIST, "
                    "or ask the "
                    "administrator for a larger work_disk",
                    size_text(selection.bytes), size_text(request.size));
    TLC_TRY_ASSIGN(file, open_file(request.image, O_RDWR | O_CREAT | O_EXCL));
    auto made = format(request, file);
    if (made) made = fill(request, selection);
    if (!made) {
        ::unlink(request.image.c_str());
        return tl::unexpected<Error>(made.error());
    }
    StageSummary summary{0, selection.bytes, std::move(selection.skipped)};
    for (const auto& [path, info] : selection.entries)
        summary.files += S_ISDIR(info.st_mode) ? 0 : 1;
    return summary;
}

} // namespace tlc
