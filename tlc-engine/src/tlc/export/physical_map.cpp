// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/export/physical_map.hpp>

#include <algorithm>

namespace tlc {
namespace {

constexpr uint64_t gib = uint64_t{1} << 30;
constexpr uint64_t four_gib = 4 * gib;
// From about here on RAM lies above 1 TiB for AMD's processors (pc_max_used_gpa(), AMD_HT_START), less what
// PCI devices may be given.
constexpr uint64_t hyper_transport = 0xfd00000000 - 64 * gib;

// How much RAM is below 4 GiB.
Result<uint64_t> low_memory(std::string_view machine, uint64_t ram) {
    uint64_t low = 0;
    if (machine.starts_with("pc-q35-")) {
        low = ram >= 0xb0000000 ? 0x80000000 : 0xb0000000;
    } else if (machine.starts_with("pc-i440fx-")) {
        low = ram >= 0xe0000000 ? 0xc0000000 : 0xe0000000;
    } else {
        return fail(ErrorKind::incompatible,
                    "where memory lies in a {} machine is not known (in pc-q35 and pc-i440fx it is): "
                    "export with --format=qemu and use that QEMU's dump-guest-memory",
                    machine);
    }
    return std::min(ram, low);
}

const ImageBlock* find(const std::vector<ImageBlock>& blocks, std::string_view id) {
    const auto found =
        std::find_if(blocks.begin(), blocks.end(), [&](const auto& block) { return block.id == id; });
    return found == blocks.end() ? nullptr : &*found;
}

} // namespace

Result<std::vector<PhysicalRange>> physical_map(std::string_view machine,
                                                const std::vector<ImageBlock>& blocks) {
    const auto* ram = find(blocks, "pc.ram");
    if (ram == nullptr)
        return fail(ErrorKind::incompatible, "the VM's RAM is not the one block pc.ram (-m without a memory "
                                             "backend of its own), so its addresses are not known");
    const auto number = [&](const ImageBlock* block) { return static_cast<uint32_t>(block - blocks.data()); };
    TLC_TRY_ASSIGN(low, low_memory(machine, ram->length));
    std::vector<PhysicalRange> ranges{{number(ram), 0, 0, low}};
    // The firmware ends at 4 GiB. Its copy below 1 MiB is in RAM.
    if (const auto* bios = find(blocks, "pc.bios"); bios != nullptr && bios->length <= 16 << 20)
        ranges.push_back({number(bios), 0, four_gib - bios->length, bios->length});
    if (ram->length > low) ranges.push_back({number(ram), low, four_gib, ram->length - low});
    if (four_gib + ram->length - low > hyper_transport)
        return fail(ErrorKind::incompatible, "where so much memory lies depends on the processor");
    return ranges;
}

} // namespace tlc
