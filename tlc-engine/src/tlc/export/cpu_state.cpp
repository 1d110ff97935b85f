// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/export/big_endian.hpp>
#include <tlc/export/cpu_state.hpp>

#include <algorithm>
#include <map>

namespace tlc {
namespace {

// A footer and its section's number, a section's start and number, "cpu" with its length, instance, version.
constexpr size_t name_at = 10;
constexpr size_t instance_at = name_at + 4;
constexpr size_t content_at = instance_at + 8;
constexpr uint64_t section_version = 12;

// Offsets in the section.
constexpr size_t rip_at = 128;
constexpr size_t rflags_at = 136;
constexpr size_t segments_at = 236; // behind hflags and the old floating point state
constexpr size_t segment_size = 20;
constexpr size_t control_at = 456; // cr0, cr2, cr3, cr4
constexpr size_t kernel_gs_base_at = 856;
constexpr size_t content_size = 864;

bool is_cpu_section(std::span<const std::byte> state, size_t at) {
    return big_endian(state, at, 1) == 0x7e && big_endian(state, at + 5, 1) == 0x04 &&
           big_endian(state, at + name_at, 4) == 0x03637075 && // 3, "cpu"
           big_endian(state, at + instance_at + 4, 4) == section_version;
}

CpuSegment segment(std::span<const std::byte> content, size_t at) {
    return {static_cast<uint32_t>(big_endian(content, at, 4)), big_endian(content, at + 4, 8),
            static_cast<uint32_t>(big_endian(content, at + 12, 4)),
            static_cast<uint32_t>(big_endian(content, at + 16, 4))};
}

CpuState parse(std::span<const std::byte> content) {
    CpuState cpu;
    for (size_t i = 0; i < cpu.general.size(); ++i)
        cpu.general[i] = big_endian(content, 8 * i, 8);
    cpu.rip = big_endian(content, rip_at, 8);
    cpu.rflags = big_endian(content, rflags_at, 8);
    for (size_t i = 0; i < cpu.segments.size(); ++i)
        cpu.segments[i] = segment(content, segments_at + i * segment_size);
    cpu.control = {big_endian(content, control_at, 8), 0, big_endian(content, control_at + 8, 8),
                   big_endian(content, control_at + 16, 8), big_endian(content, control_at + 24, 8)};
    cpu.kernel_gs_base = big_endian(content, kernel_gs_base_at, 8);
    return cpu;
}

// Bits that are set in every x86 processor: bit 1 of the flags, "extension type" in cr0.
bool plausible(const CpuState& cpu) { return (cpu.rflags & 0x2) != 0 && (cpu.control[0] & 0x10) != 0; }

} // namespace

Result<std::vector<CpuState>> cpu_states(std::span<const std::byte> state) {
    std::map<uint64_t, CpuState> found;
    for (size_t at = 0; at + content_at + content_size <= state.size(); ++at) {
        if (!is_cpu_section(state, at)) continue;
        const auto cpu = parse(state.subspan(at + content_at, content_size));
        if (!plausible(cpu))
            return fail("a \"cpu\" section of the device state is not as QEMU 10.0 writes it");
        if (!found.emplace(big_endian(state, at + instance_at, 4), cpu).second)
            return fail("a processor is in the device state twice");
    }
    if (found.empty()) return fail("no \"cpu\" section of QEMU 10.0 is in the device state");
    if (found.rbegin()->first != found.size() - 1) return fail("a processor is missing in the device state");
    std::vector<CpuState> cpus;
    cpus.reserve(found.size());
    for (const auto& [number, cpu] : found)
        cpus.push_back(cpu);
    return cpus;
}

} // namespace tlc
