// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a stored chunk: refused, or 64 KiB that can be stored again.
#include <tlc/image/chunk_codec.hpp>

#include <algorithm>
#include <vector>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<std::byte> chunk(tlc::stored_chunk_max), out(tlc::stored_chunk_max);
    const auto pages = std::span(chunk).subspan(tlc::chunk_header_size);
    if (!tlc::decode_chunk(std::as_bytes(std::span(data, size)), pages)) return 0;
    const std::vector<std::byte> before(pages.begin(), pages.end());
    const auto stored = tlc::encode_chunk(chunk, out, true);
    std::vector<std::byte> after(tlc::image_chunk_size);
    tlc::fuzz::require(tlc::decode_chunk(stored, after) && after == before, "pages are the same again");
    return 0;
}
