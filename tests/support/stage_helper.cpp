// SPDX-License-Identifier: GPL-2.0-or-later
// The staging library for shell tests:
//   stage_helper make IMAGE MIB CWD UID GID [STAGE_IN...]
//   stage_helper back IMAGE CWD [EXCLUDE...]
//   stage_helper cpio OUT SCRIPT CWD UID NAME=VALUE...
#include <tlc/stage/job_cpio.hpp>
#include <tlc/stage/read_back.hpp>
#include <tlc/stage/work_disk.hpp>

#include <cstdio>

using namespace tlc;

namespace {

unsigned number(const std::string& text) { return static_cast<unsigned>(std::stoul(text)); }

Status run_command(const std::vector<std::string>& words) {
    const std::string command = words.empty() ? "" : words[0];
    if (command == "make" && words.size() >= 6) {
        WorkDiskRequest request{words[1],
                                uint64_t{number(words[2])} << 20,
                                words[3],
                                {},
                                {},
                                uint64_t{1} << 30,
                                number(words[4]),
                                number(words[5])};
        request.stage_in.assign(words.begin() + 6, words.end());
        TLC_TRY_ASSIGN(summary, make_work_disk(request));
        fmt::print("files {} bytes {}\n", summary.files, summary.bytes);
        return {};
    }
    if (command == "back" && words.size() >= 3) {
        ReadBackRequest request{words[1], words[2], {}, {}};
        request.exclude.assign(words.begin() + 3, words.end());
        TLC_TRY_ASSIGN(summary, read_back(request));
        for (const auto& problem : summary.problems)
            fmt::print("problem {}\n", problem);
        fmt::print("files {} unchanged {}\n", summary.files, summary.unchanged);
        return {};
    }
    if (command == "cpio" && words.size() >= 5) {
        JobDescription job;
        job.argv = {"/job/script"};
        job.environment.assign(words.begin() + 5, words.end());
        job.cwd = words[3];
        job.uid = job.gid = number(words[4]);
        job.user = job.group = "user";
        job.home = "/home/user";
        job.hostname = "node";
        return write_job_cpio(words[1], job, words[2]);
    }
    return fail(ErrorKind::usage, "usage: stage_helper make|back|cpio ...");
}

} // namespace

int main(int argc, char** argv) {
    auto status = run_command({argv + 1, argv + argc});
    if (!status) fmt::print(stderr, "{}\n", status.error().message);
    return status ? 0 : status.error().exit_code();
}
