// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/disk/extents.hpp>

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cstddef>
#include <cstring>

namespace tlc {

std::optional<std::vector<Extent>> extents_of(int fd) {
    constexpr uint32_t at_once = 512;
    std::vector<std::byte> memory(sizeof(fiemap) + at_once * sizeof(fiemap_extent));
    std::vector<Extent> found;
    for (uint64_t start = 0;;) {
        fiemap head{};
        head.fm_start = start;
        head.fm_length = UINT64_MAX - start;
        head.fm_flags = FIEMAP_FLAG_SYNC;
        head.fm_extent_count = at_once;
        std::memcpy(memory.data(), &head, sizeof head);
        if (::ioctl(fd, FS_IOC_FIEMAP, memory.data()) != 0) return std::nullopt;
        std::memcpy(&head, memory.data(), sizeof head);
        bool last = head.fm_mapped_extents == 0;
        for (uint32_t i = 0; i < head.fm_mapped_extents; ++i) {
            fiemap_extent extent;
            std::memcpy(&extent, memory.data() + sizeof head + i * sizeof extent, sizeof extent);
            constexpr uint32_t loose = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
                                       FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL;
            found.push_back({extent.fe_logical, extent.fe_physical, extent.fe_length,
                             (extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0,
                             (extent.fe_flags & loose) == 0});
            start = extent.fe_logical + extent.fe_length;
            last |= (extent.fe_flags & FIEMAP_EXTENT_LAST) != 0;
        }
        if (last) return found;
    }
}

std::vector<Extent> ExtentWalk::in(uint64_t start, uint64_t length) {
    while (first_ < extents_.size() && extents_[first_].logical + extents_[first_].length <= start)
        ++first_;
    std::vector<Extent> found;
    for (size_t i = first_; i < extents_.size() && extents_[i].logical < start + length; ++i)
        found.push_back(extents_[i]);
    return found;
}

} // namespace tlc
