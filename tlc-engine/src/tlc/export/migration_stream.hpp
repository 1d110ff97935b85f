// SPDX-License-Identifier: GPL-2.0-or-later
// A memory image as a migration stream of QEMU, which a QEMU without our patches resumes (-incoming
// file:FILE) if it has the same machine type and devices. docs/export.md says what the parts of the stream
// are.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/image/reader.hpp>

#include <atomic>
#include <cstdint>

namespace tlc {

// Writes it from the start of `fd`, an empty file, with `threads` threads; the bytes are the same with any
// number. Returns the file's size. `done` counts the bytes of image.used_bytes() that are written.
// ErrorKind::damaged names the chunk; incompatible: QEMU cannot take the image's device state this way.
Result<uint64_t> write_migration_stream(const ImageReader& image, int fd, unsigned threads,
                                        std::atomic<uint64_t>& done);

} // namespace tlc
