// SPDX-License-Identifier: GPL-2.0-or-later
// Where RAM blocks lie in the guest's physical memory. An image does not say: it is the rule of the machine
// type, as QEMU's pc_q35_init(), pc_init1() and pc_memory_init() have it, for machines with the default
// max-ram-below-4g and without hot-plugged memory.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/image/format.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace tlc {

struct PhysicalRange {
    uint32_t block = 0;  // number in the image
    uint64_t offset = 0; // in the block
    uint64_t address = 0;
    uint64_t length = 0;
    bool operator==(const PhysicalRange&) const = default;
};

// In the order of their addresses; blocks whose place is not known (video memory, option ROMs) are left out.
// ErrorKind::incompatible for a machine whose rule is not known.
Result<std::vector<PhysicalRange>> physical_map(std::string_view machine,
                                                const std::vector<ImageBlock>& blocks);

} // namespace tlc
