// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/export/elf_notes.hpp>

#include <cstring>
#include <elf.h>
#include <iterator>
#include <string_view>

namespace tlc {
namespace {

// struct elf_prstatus of Linux, of which only the process' number and its registers are used: r15, r14, r13,
// r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss, fs_base,
// gs_base, ds, es, fs, gs.
struct ProcessStatus {
    std::array<std::byte, 32> unused_signal{};
    uint32_t pid = 0;
    std::array<std::byte, 76> unused_times{};
    std::array<uint64_t, 27> registers{};
    uint64_t unused_floating_point = 0;
};
static_assert(sizeof(ProcessStatus) == 336);

struct QemuSegment {
    uint32_t selector = 0, limit = 0, flags = 0, unused = 0;
    uint64_t base = 0;
};

// rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8 to r15, rip, rflags; cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt.
struct QemuCpu {
    uint32_t version = 1;
    uint32_t size = sizeof(QemuCpu);
    std::array<uint64_t, 18> registers{};
    std::array<QemuSegment, 10> segments{};
    std::array<uint64_t, 5> control{};
    uint64_t kernel_gs_base = 0;
};
static_assert(sizeof(QemuCpu) == 8 + 18 * 8 + 10 * 24 + 6 * 8);

ProcessStatus process_status(const CpuState& cpu, uint32_t pid) {
    using C = CpuState;
    const auto& g = cpu.general;
    const auto selector = [&](C::Segment which) { return uint64_t{cpu.segments[which].selector}; };
    ProcessStatus status;
    status.pid = pid;
    status.registers = {g[C::r15],
                        g[C::r14],
                        g[C::r13],
                        g[C::r12],
                        g[C::rbp],
                        g[C::rbx],
                        g[C::r11],
                        g[C::r10],
                        g[C::r9],
                        g[C::r8],
                        g[C::rax],
                        g[C::rcx],
                        g[C::rdx],
                        g[C::rsi],
                        g[C::rdi],
                        0,
                        cpu.rip,
                        selector(C::cs),
                        cpu.rflags,
                        g[C::rsp],
                        selector(C::ss),
                        cpu.segments[C::fs].base,
                        cpu.segments[C::gs].base,
                        selector(C::ds),
                        selector(C::es),
                        selector(C::fs),
                        selector(C::gs)};
    return status;
}

QemuCpu qemu_cpu(const CpuState& cpu) {
    using C = CpuState;
    constexpr C::General registers[] = {C::rax, C::rbx, C::rcx, C::rdx, C::rsi, C::rdi, C::rsp, C::rbp,
                                        C::r8,  C::r9,  C::r10, C::r11, C::r12, C::r13, C::r14, C::r15};
    constexpr C::Segment segments[] = {C::cs, C::ds,  C::es, C::fs,  C::gs,
                                       C::ss, C::ldt, C::tr, C::gdt, C::idt};
    QemuCpu note;
    for (size_t i = 0; i < std::size(registers); ++i)
        note.registers[i] = cpu.general[registers[i]];
    note.registers[16] = cpu.rip;
    note.registers[17] = cpu.rflags;
    for (size_t i = 0; i < std::size(segments); ++i) {
        const auto& from = cpu.segments[segments[i]];
        note.segments[i] = {from.selector, from.limit, from.flags, 0, from.base};
    }
    note.control = cpu.control;
    note.kernel_gs_base = cpu.kernel_gs_base;
    return note;
}

template <typename Content>
void append(std::vector<std::byte>& notes, std::string_view name, uint32_t type, const Content& content) {
    static_assert(sizeof content % 4 == 0);
    const Elf64_Nhdr header{static_cast<Elf64_Word>(name.size() + 1), sizeof content, type};
    const size_t name_size = (name.size() + 1 + 3) / 4 * 4;
    const size_t at = notes.size();
    notes.resize(at + sizeof header + name_size + sizeof content);
    std::memcpy(notes.data() + at, &header, sizeof header);
    std::memcpy(notes.data() + at + sizeof header, name.data(), name.size());
    std::memcpy(notes.data() + at + sizeof header + name_size, &content, sizeof content);
}

} // namespace

std::vector<std::byte> elf_notes(const std::vector<CpuState>& cpus) {
    std::vector<std::byte> notes;
    for (size_t i = 0; i < cpus.size(); ++i)
        append(notes, "CORE", NT_PRSTATUS, process_status(cpus[i], static_cast<uint32_t>(i + 1)));
    for (const auto& cpu : cpus)
        append(notes, "QEMU", 0, qemu_cpu(cpu));
    return notes;
}

} // namespace tlc
