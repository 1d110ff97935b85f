// SPDX-License-Identifier: GPL-2.0-or-later
// A directory under TMPDIR, or where it is said, that is removed with all it holds at the end of the test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace tlc::test {

class TemporaryDirectory {
  public:
    explicit TemporaryDirectory(const std::filesystem::path& where = std::filesystem::temp_directory_path()) {
        std::string name = (where / "tlc-test.XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

} // namespace tlc::test
