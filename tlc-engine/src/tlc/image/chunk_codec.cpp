// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/chunk_codec.hpp>

#include <cstring>
#include <lz4.h>

namespace tlc {
namespace {

void put_big_endian(std::byte* to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
        to[i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
}

uint64_t big_endian(const std::byte* from, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i)
        value = value << 8 | std::to_integer<uint64_t>(from[i]);
    return value;
}

} // namespace

std::span<const std::byte> encode_chunk(std::span<std::byte> chunk, std::span<std::byte> out, bool compress) {
    // A compressed size equal to the block size means "stored raw", so compression must save at least a byte.
    int size = 0;
    if (compress)
        size =
            LZ4_compress_default(reinterpret_cast<const char*>(chunk.data() + chunk_header_size),
                                 reinterpret_cast<char*>(out.data() + chunk_header_size),
                                 static_cast<int>(image_chunk_size), static_cast<int>(image_chunk_size) - 1);
    const bool raw = size <= 0;
    if (raw) size = static_cast<int>(image_chunk_size);
    const std::span<std::byte> stored =
        (raw ? chunk : out).first(chunk_header_size + static_cast<size_t>(size));
    put_big_endian(stored.data(), image_chunk_size, 8);
    put_big_endian(stored.data() + 8, image_chunk_size, 4);
    put_big_endian(stored.data() + 12, static_cast<uint64_t>(size), 4);
    return stored;
}

Status decode_chunk(std::span<const std::byte> stored, std::span<std::byte> out) {
    if (out.size() != image_chunk_size) return fail("a chunk needs a buffer of {} bytes", image_chunk_size);
    if (stored.size() < stored_chunk_min || stored.size() > stored_chunk_max)
        return fail(ErrorKind::damaged, "{} bytes stored", stored.size());
    const uint64_t original = big_endian(stored.data(), 8);
    const uint64_t block = big_endian(stored.data() + 8, 4);
    const uint64_t size = big_endian(stored.data() + 12, 4);
    if (original != image_chunk_size || block != image_chunk_size ||
        size != stored.size() - chunk_header_size)
        return fail(ErrorKind::damaged, "wrong LZ4 header (sizes {}, {}, {})", original, block, size);
    const std::byte* data = stored.data() + chunk_header_size;
    if (size == image_chunk_size) {
        std::memcpy(out.data(), data, image_chunk_size);
        return {};
    }
    const int got =
        LZ4_decompress_safe(reinterpret_cast<const char*>(data), reinterpret_cast<char*>(out.data()),
                            static_cast<int>(size), static_cast<int>(image_chunk_size));
    if (got != static_cast<int>(image_chunk_size)) return fail(ErrorKind::damaged, "LZ4 data is invalid");
    return {};
}

bool is_zero_page(const std::byte* page) {
    // Blocks small enough to leave early, large enough for the compiler's vector instructions.
    constexpr size_t words = 32;
    for (size_t at = 0; at < image_page_size; at += words * sizeof(uint64_t)) {
        uint64_t block[words];
        std::memcpy(block, page + at, sizeof block);
        uint64_t any = 0;
        for (const uint64_t word : block)
            any |= word;
        if (any != 0) return false;
    }
    return true;
}

} // namespace tlc
