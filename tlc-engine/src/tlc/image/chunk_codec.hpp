// SPDX-License-Identifier: GPL-2.0-or-later
// One chunk of pages to and from the bytes stored for it: the format of HDF5's registered LZ4 filter (32004),
// one block a chunk. Thread-safe.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/image/format.hpp>

#include <span>

namespace tlc {

constexpr size_t chunk_header_size = 16;
constexpr size_t stored_chunk_max = chunk_header_size + image_chunk_size;
constexpr size_t stored_chunk_min = chunk_header_size + 1;

// Encodes the image_chunk_size bytes that lie behind chunk_header_size free bytes in `chunk`; `out` has
// stored_chunk_max bytes. Returns what is to be stored: a part of `out`, or, where compression is not wanted
// or gains nothing, all of `chunk` with the header filled in.
std::span<const std::byte> encode_chunk(std::span<std::byte> chunk, std::span<std::byte> out, bool compress);

// Decodes into image_chunk_size bytes. Bounds are checked; ErrorKind::damaged says what is wrong.
Status decode_chunk(std::span<const std::byte> stored, std::span<std::byte> out);

bool is_zero_page(const std::byte* page);

} // namespace tlc
