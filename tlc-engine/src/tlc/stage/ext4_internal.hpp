// SPDX-License-Identifier: GPL-2.0-or-later
// What the two halves of Ext4 share. Pure functions.
#pragma once

#include <cstdint>
#include <ctime>
#include <ext2fs.h>
#include <string_view>

namespace tlc::ext4 {

// FNV-1a.
inline uint32_t path_mark(std::string_view path) {
    uint32_t hash = 2166136261U;
    for (char byte : path)
        hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
    return hash;
}

// Seconds: 32 bits, and two more beside the nanoseconds.
inline uint32_t time_low(timespec time) { return static_cast<uint32_t>(time.tv_sec); }
inline uint32_t time_extra(timespec time) {
    const int64_t above = (static_cast<int64_t>(time.tv_sec) - static_cast<int32_t>(time.tv_sec)) >> 32;
    return static_cast<uint32_t>((time.tv_nsec << 2) | (above & 3));
}
inline timespec to_time(uint32_t low, uint32_t extra) {
    return {static_cast<time_t>(static_cast<int32_t>(low)) + (static_cast<time_t>(extra & 3) << 32),
            static_cast<long>(extra >> 2)};
}

inline ext2_inode* as_small(ext2_inode_large* inode) { return reinterpret_cast<ext2_inode*>(inode); }

} // namespace tlc::ext4
