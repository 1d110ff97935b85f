// SPDX-License-Identifier: GPL-2.0-or-later
// Whole-file operations with the durability the catalogue's ordering rules need. Thread-safe (no state).
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tlc {

// The whole file as text; ErrorKind::damaged above `limit` bytes.
Result<std::string> read_text(const std::filesystem::path& path, size_t limit = size_t{16} << 20);

// Publishes `text` as `path`: temporary file in the same directory, fsync, rename, fsync of the directory.
// On failure the old file, if any, is untouched and the temporary one is removed.
Status publish_text(const std::filesystem::path& path, std::string_view text, mode_t mode = 0600);

// The same, but not durable: after a crash the old text, the new one or nothing may be there.
Status replace_text(const std::filesystem::path& path, std::string_view text, mode_t mode = 0600);

// rename(2) of a finished file to its published name, then fsync of the directory.
Status publish_rename(const std::filesystem::path& from, const std::filesystem::path& to);

// fsync(2) of a file or directory by name.
Status sync_path(const std::filesystem::path& path);

// mkdir(2); ErrorKind::busy if it exists already.
Status make_directory(const std::filesystem::path& path, mode_t mode = 0700);

// Makes the new file `to` share the blocks of `from` (FICLONE). On failure there is no new file.
Status clone_file(const std::filesystem::path& from, const std::filesystem::path& to, mode_t mode = 0600);

// Copies a regular file, sharing its blocks where the file system can; holes stay holes. With `bytes` only so
// much from its start, which may be a file that still grows. The target must not exist; on failure it does
// not.
Status copy_file(const std::filesystem::path& from, const std::filesystem::path& to, mode_t mode = 0600,
                 std::optional<uint64_t> bytes = std::nullopt);

// A new empty file that has no name any more, on the file system of the directory.
Result<Fd> nameless_file(const std::filesystem::path& directory);

// Whether so many bytes can be written and made durable on the file system of a directory; they do not stay.
Status try_writing(const std::filesystem::path& directory, size_t bytes);

// Bytes in a file, of what a link points to.
Result<uint64_t> size_of_file(const std::filesystem::path& path);

// Bytes an ordinary user may still write on the file system of `path`.
Result<uint64_t> free_space(const std::filesystem::path& path);

} // namespace tlc
