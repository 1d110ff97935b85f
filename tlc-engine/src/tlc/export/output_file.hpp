// SPDX-License-Identifier: GPL-2.0-or-later
// OutputFile is a file that appears under its name when it is whole, or not at all. Until then it has a
// temporary name beside that one (".NAME.XXXXXX"), mode 0600, and is removed when its owner drops it. It
// never takes the place of another file: ErrorKind::usage if there is one, at the start or by the end. Move
// only, not thread-safe; the descriptor may be written to by several threads.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <filesystem>

namespace tlc {

class OutputFile {
  public:
    static Result<OutputFile> create(const std::filesystem::path& path);
    OutputFile(OutputFile&& other) noexcept = default;
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile();

    int fd() const { return fd_.get(); }
    // Durable under its name afterwards. On failure nothing is left.
    Status publish();

  private:
    OutputFile(std::filesystem::path path, std::filesystem::path temporary, Fd fd)
        : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

    std::filesystem::path path_;
    std::filesystem::path temporary_;
    Fd fd_; // not valid: nothing to remove
};

} // namespace tlc
