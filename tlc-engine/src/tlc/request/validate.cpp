// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/units.hpp>
#include <tlc/request/validate.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <unistd.h>

namespace tlc {
namespace {

Status check_image(const std::string& image) {
    struct stat info {};
    if (::stat(image.c_str(), &info) != 0)
        return fail(ErrorKind::usage, "--vm-image: cannot find {} ({}); write the path of a guest image",
                    image, std::strerror(errno));
    if (!S_ISREG(info.st_mode))
        return fail(ErrorKind::usage, "--vm-image: {} is not a file; write the path of a guest image", image);
    if (::access(image.c_str(), R_OK) != 0)
        return fail(ErrorKind::usage, "--vm-image: you may not read {}; ask its owner for read permission",
                    image);
    return {};
}

Status check_directory(const std::string& directory) {
    struct stat info {};
    if (::stat(directory.c_str(), &info) != 0)
        return fail(
            ErrorKind::usage,
            "--vm-checkpoint-dir: cannot find {} ({}); create it with mkdir, or write another directory",
            directory, std::strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return fail(ErrorKind::usage, "--vm-checkpoint-dir: {} is not a directory; write a directory",
                    directory);
    if (::access(directory.c_str(), W_OK | X_OK) != 0)
        return fail(ErrorKind::usage,
                    "--vm-checkpoint-dir: you may not write into {}; write a directory of your own",
                    directory);
    TLC_TRY_ASSIGN(space, free_space(directory));
    if (space < least_free_space)
        return fail(
            ErrorKind::no_space,
            "--vm-checkpoint-dir: {} has {} free, at least {} are needed; delete old checkpoints there "
            "or write another directory",
            directory, size_text(space), size_text(least_free_space));
    return {};
}

Status check_stage_in(const std::vector<std::string>& list, const std::filesystem::path& submit_directory) {
    if (stages_nothing(list)) return {};
    for (const auto& item : list) {
        const auto path = submit_directory / item;
        if (::access(path.c_str(), R_OK) != 0)
            return fail(
                ErrorKind::usage,
                "--vm-stage-in: cannot read {} in {} ({}); write paths relative to the submit directory",
                item, submit_directory.string(), std::strerror(errno));
    }
    return {};
}

} // namespace

Status check_request(const JobRequest& request) {
    if (request.memory_bytes > 0 && request.buffer_bytes > request.memory_bytes)
        return fail(ErrorKind::usage,
                    "--vm-checkpoint-buffer: {} is more than the VM's memory ({}); write {} or less",
                    size_text(request.buffer_bytes), size_text(request.memory_bytes),
                    fmt::format("{}M", request.memory_bytes >> 20));
    return {};
}

Status check_memory(const JobRequest& request, uint64_t job_memory_bytes) {
    if (job_memory_bytes == 0) return {};
    const uint64_t wanted = request.memory_bytes + request.buffer_bytes;
    if (request.memory_bytes > job_memory_bytes)
        return fail(ErrorKind::usage,
                    "--vm-memory: {} is more than the job's memory ({}); ask for more with --mem, or leave "
                    "--vm-memory out",
                    size_text(request.memory_bytes), size_text(job_memory_bytes));
    if (wanted > job_memory_bytes)
        return fail(
            ErrorKind::usage,
            "the VM's memory and its checkpoint buffer ({}) are more than the job's memory ({}); ask for "
            "more with --mem, or write a smaller --vm-memory or --vm-checkpoint-buffer",
            size_text(wanted), size_text(job_memory_bytes));
    return {};
}

Status check_nodes(uint64_t nodes, uint64_t het_components) {
    if (het_components > 1)
        return fail(ErrorKind::usage,
                    "--vm-checkpoint: heterogeneous jobs are not supported (this one has {} "
                    "components); submit the components as jobs of their own",
                    het_components);
    if (nodes > 1)
        return fail(ErrorKind::usage,
                    "--vm-checkpoint: the job has {} nodes, but a VM runs on one; write --nodes=1", nodes);
    return {};
}

Status check_nodes_option(std::string_view nodes) {
    // No upper limit is 0.
    for (const char *at = nodes.data(), *end = at + nodes.size(); at != end;) {
        uint64_t number = 0;
        const auto read = std::from_chars(at, end, number);
        if (number > 1)
            return fail(
                ErrorKind::usage,
                "--vm-checkpoint: --nodes={} may be several nodes, but a VM runs on one; write --nodes=1",
                nodes);
        at = std::max(read.ptr, at + 1);
    }
    return {};
}

void resolve_paths(JobRequest& request, const std::filesystem::path& submit_directory) {
    for (auto* path : {&request.image, &request.checkpoint_dir})
        if (!path->empty()) *path = (submit_directory / *path).lexically_normal().string();
}

Status check_files(const JobRequest& request, const std::filesystem::path& submit_directory) {
    if (!request.image.empty()) TLC_TRY(check_image(request.image));
    if (!request.checkpoint_dir.empty()) TLC_TRY(check_directory(request.checkpoint_dir));
    return check_stage_in(request.stage_in, submit_directory);
}

} // namespace tlc
