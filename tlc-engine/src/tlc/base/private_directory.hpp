// SPDX-License-Identifier: GPL-2.0-or-later
// A directory below /tmp that only the caller's user may enter, removed with all it holds at the object's
// end. Its path is short, as those of sockets have to be. Movable; one thread at a time.
#pragma once

#include <tlc/base/result.hpp>

#include <filesystem>

namespace tlc {

class PrivateDirectory {
  public:
    static Result<PrivateDirectory> make();
    PrivateDirectory(PrivateDirectory&& other) noexcept;
    PrivateDirectory& operator=(PrivateDirectory&&) = delete;
    ~PrivateDirectory();
    const std::filesystem::path& path() const { return path_; }

  private:
    explicit PrivateDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_; // empty: moved from
};

} // namespace tlc
