// SPDX-License-Identifier: GPL-2.0-or-later
// The registers of the virtual processors, from the device state of an image: the front of each "cpu"
// section, version 12 of the section, which all QEMU 10.0.x write (target/i386/machine.c, vmstate_x86_cpu).
// Sections do not say how long they are, so they are looked for by how a section ends and a "cpu" section
// begins. Only for tools that show a memory image: a guest can write bytes that look like a section.
#pragma once

#include <tlc/base/result.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace tlc {

struct CpuSegment {
    uint32_t selector = 0;
    uint64_t base = 0;
    uint32_t limit = 0;
    uint32_t flags = 0; // QEMU's, the descriptor's second word
};

struct CpuState {
    enum General { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };
    enum Segment { es, cs, ss, ds, fs, gs, ldt, tr, gdt, idt };

    std::array<uint64_t, 16> general{};
    uint64_t rip = 0;
    uint64_t rflags = 0;
    std::array<CpuSegment, 10> segments{};
    std::array<uint64_t, 5> control{}; // cr1 is 0
    uint64_t kernel_gs_base = 0;
};

// In the order of their numbers, which are 0, 1, ...; at least one. The error says why they are not to be
// had.
Result<std::vector<CpuState>> cpu_states(std::span<const std::byte> device_state);

} // namespace tlc
