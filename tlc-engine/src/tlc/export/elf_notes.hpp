// SPDX-License-Identifier: GPL-2.0-or-later
// The notes of a core file with the registers of processors: a "CORE" note (NT_PRSTATUS) each for gdb, then a
// "QEMU" note each, from which crash learns where the kernel lies (the layout is that of QEMU's
// dump-guest-memory, target/i386/arch_dump.c). For this folder's .cpp files.
#pragma once

#include <tlc/export/cpu_state.hpp>

#include <vector>

namespace tlc {

std::vector<std::byte> elf_notes(const std::vector<CpuState>& cpus);

} // namespace tlc
