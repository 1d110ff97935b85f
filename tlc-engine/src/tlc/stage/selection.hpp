// SPDX-License-Identifier: GPL-2.0-or-later
// Which files of the job's working directory go into the virtual machine. Reads the file system, changes
// nothing. Thread-safe.
#pragma once

#include <tlc/base/result.hpp>

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tlc {

struct SelectionRequest {
    std::filesystem::path cwd;
    std::vector<std::string> list;    // relative to cwd, files and whole directories; empty: everything
    std::vector<std::string> exclude; // relative to cwd; files, and directories with all below
    uint64_t limit = 0;               // bytes
};

struct Selection {
    // Relative path to what lstat(2) said (stat(2) for a path of the list itself); a directory comes before
    // what is in it.
    std::map<std::string, struct stat> entries;
    std::vector<std::string> skipped; // sockets, devices and the like
    uint64_t bytes = 0;               // of regular files
};

// A path of the list, or of an option that names results, without "./" and a slash at the end; an error
// when it is absolute or leaves the working directory.
Result<std::string> clean_relative(const std::string& path, std::string_view option);

// Whether `path` is one of the paths in `list`, or below one.
bool covered_by(const std::string& path, const std::vector<std::string>& list);

// Errors: a path of the list that is not there, a file that cannot be read, more bytes than the limit.
Result<Selection> select_files(const SelectionRequest& request);

} // namespace tlc
