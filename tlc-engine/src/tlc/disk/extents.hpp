// SPDX-License-Identifier: GPL-2.0-or-later
// Where a file's content lies on its disk, as FIEMAP tells it (Documentation/filesystems/fiemap.rst of
// Linux). Two files of one file system that are both never written again and lie in the same places have the
// same content. For this folder only.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace tlc {

struct Extent {
    uint64_t logical = 0; // bytes, in the file
    uint64_t physical = 0;
    uint64_t length = 0;
    bool unwritten = false; // reads as zeros
    bool fixed = false;     // the place is known, and its own
    bool operator==(const Extent&) const = default;
};

// In the order of the file, holes left out. Nothing where the file system does not tell.
std::optional<std::vector<Extent>> extents_of(int fd);

// Walks through the extents of a file, stretch after stretch.
class ExtentWalk {
  public:
    explicit ExtentWalk(const std::vector<Extent>& extents) : extents_(extents) {}
    // Those that reach into [start, start + length); starts must not decrease.
    std::vector<Extent> in(uint64_t start, uint64_t length);

  private:
    const std::vector<Extent>& extents_;
    size_t first_ = 0;
};

} // namespace tlc
