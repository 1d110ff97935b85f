// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/private_directory.hpp>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

namespace tlc {

Result<PrivateDirectory> PrivateDirectory::make() {
    std::string name = "/tmp/tlc-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return fail_errno(errno, "cannot make a directory in /tmp");
    return PrivateDirectory(name);
}

PrivateDirectory::PrivateDirectory(PrivateDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

PrivateDirectory::~PrivateDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

} // namespace tlc
