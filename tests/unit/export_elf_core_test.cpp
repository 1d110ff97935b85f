// SPDX-License-Identifier: GPL-2.0-or-later
// The core file, and what goes into it: addresses of blocks, registers.
#include <tlc/base/files.hpp>
#include <tlc/export/cpu_state.hpp>
#include <tlc/export/elf_core.hpp>
#include <tlc/export/output_file.hpp>
#include <tlc/export/physical_map.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <elf.h>

#include "../support/export_image.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t mib = 1 << 20;
constexpr uint64_t gib = 1024 * mib;

std::vector<ImageBlock> machine_of(uint64_t ram) {
    return {{"pc.bios", 256 * 1024, 4096}, {"pc.ram", ram, 4096}, {"pc.rom", 128 * 1024, 4096}};
}

TEST(PhysicalMap, splits_ram_as_the_machine_type_does) {
    const PhysicalRange bios{0, 0, 4 * gib - 256 * 1024, 256 * 1024};
    const auto map = [](const char* machine, uint64_t ram) {
        return *physical_map(machine, machine_of(ram));
    };
    EXPECT_THAT(map("pc-q35-10.0", gib), ElementsAre(PhysicalRange{1, 0, 0, gib}, bios));
    EXPECT_THAT(map("pc-q35-10.0", 0xb0000000 - mib),
                ElementsAre(PhysicalRange{1, 0, 0, 0xb0000000 - mib}, bios));
    EXPECT_THAT(map("pc-q35-10.0", 0xb0000000),
                ElementsAre(PhysicalRange{1, 0, 0, 2 * gib}, bios,
                            PhysicalRange{1, 2 * gib, 4 * gib, 0xb0000000 - 2 * gib}));
    EXPECT_THAT(map("pc-i440fx-10.0", 0xe0000000 - mib),
                ElementsAre(PhysicalRange{1, 0, 0, 0xe0000000 - mib}, bios));
    EXPECT_THAT(map("pc-i440fx-10.0", 8 * gib), ElementsAre(PhysicalRange{1, 0, 0, 3 * gib}, bios,
                                                            PhysicalRange{1, 3 * gib, 4 * gib, 5 * gib}));
}

TEST(PhysicalMap, refuses_what_it_does_not_know) {
    for (const auto& unknown :
         {physical_map("microvm", machine_of(gib)), physical_map("pc-q35-10.0", {{"ram0", gib, 4096}}),
          physical_map("pc-q35-10.0", machine_of(1024 * gib))}) {
        ASSERT_FALSE(unknown);
        EXPECT_EQ(unknown.error().kind, ErrorKind::incompatible);
    }
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(CpuStates, are_found_among_the_other_sections) {
    const auto cpus = cpu_states(bytes_of(test::device_state()));
    ASSERT_TRUE(cpus) << cpus.error().message;
    ASSERT_EQ(cpus->size(), 2u);
    const auto& cpu = (*cpus)[1];
    EXPECT_EQ(cpu.general[CpuState::rax], 0x5000u);
    EXPECT_EQ(cpu.general[CpuState::r15], 0x500fu);
    EXPECT_EQ(cpu.rip, 0x5010u);
    EXPECT_EQ(cpu.rflags, 0x202u);
    EXPECT_EQ(cpu.segments[CpuState::cs].selector, 8u);
    EXPECT_EQ(cpu.segments[CpuState::idt].base, 0x5109u);
    EXPECT_EQ(cpu.segments[CpuState::idt].limit, 0xffffu + 9);
    EXPECT_EQ(cpu.segments[CpuState::idt].flags, 0x9b00u + 9);
    EXPECT_THAT(cpu.control, ElementsAre(0x80050033u, 0u, 0x1000u, 0x2000u, 0x6f0u));
    EXPECT_EQ(cpu.kernel_gs_base, 0x5200u);
}

TEST(CpuStates, are_not_guessed) {
    EXPECT_FALSE(cpu_states({}));
    // Twice, one missing, a version of another QEMU, and not the registers of a processor.
    EXPECT_FALSE(
        cpu_states(bytes_of(test::device_state(test::section(7, "cpu", 1, 12, test::cpu_content(0))))));
    EXPECT_FALSE(
        cpu_states(bytes_of(test::device_state(test::section(7, "cpu", 3, 12, test::cpu_content(0))))));
    EXPECT_FALSE(cpu_states(bytes_of('\0' + test::section(7, "x", 0, 1, "") +
                                     test::section(7, "cpu", 0, 13, test::cpu_content(0)))));
    EXPECT_FALSE(
        cpu_states(bytes_of(test::device_state(test::section(7, "cpu", 2, 12, std::string(1000, '\0'))))));
    // Cut off anywhere.
    const auto whole = test::device_state();
    for (size_t size = 0; size < whole.size(); size += 13)
        cpu_states(bytes_of(whole.substr(0, size)));
}

class ElfCore : public ::testing::Test {
  protected:
    test::TemporaryDirectory directory;
    std::filesystem::path image = directory / "memory.h5";
    std::filesystem::path out = directory / "core";
    std::string core;

    Result<ElfCoreReport> write() {
        TLC_TRY_ASSIGN(reader, ImageReader::open(image));
        TLC_TRY_ASSIGN(file, OutputFile::create(out));
        std::atomic<uint64_t> done{0};
        TLC_TRY_ASSIGN(report, write_elf_core(reader, file.fd(), 3, done));
        EXPECT_EQ(done, reader.used_bytes());
        TLC_TRY(file.publish());
        core = *read_text(out);
        return report;
    }
    template <typename T>
    T read(size_t at) const {
        T value;
        std::memcpy(&value, core.data() + at, sizeof value);
        return value;
    }
    Elf64_Phdr segment(size_t n) const {
        return read<Elf64_Phdr>(sizeof(Elf64_Ehdr) + n * sizeof(Elf64_Phdr));
    }
};

TEST_F(ElfCore, holds_memory_at_its_addresses) {
    ASSERT_TRUE(test::write_export_image(image));
    const auto report = write();
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->bytes, core.size());
    EXPECT_THAT(report->left_out, ElementsAre("vga.vram"));
    const auto header = read<Elf64_Ehdr>(0);
    EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
    EXPECT_EQ(header.e_type, ET_CORE);
    EXPECT_EQ(header.e_machine, EM_X86_64);
    ASSERT_EQ(header.e_phnum, 3);
    EXPECT_EQ(segment(1).p_vaddr, 0u);
    EXPECT_EQ(segment(2).p_vaddr, 4 * gib - segment(2).p_filesz);
    for (const size_t n : {1, 2}) {
        const auto load = segment(n);
        const uint32_t block = n == 1 ? 0 : 2;
        EXPECT_EQ(load.p_type, PT_LOAD);
        EXPECT_EQ(load.p_paddr, load.p_vaddr);
        EXPECT_EQ(load.p_filesz, test::export_blocks()[block].length);
        ASSERT_LE(load.p_offset + load.p_filesz, core.size());
        for (uint64_t page = 0; page < load.p_filesz / 4096; ++page)
            EXPECT_EQ(std::memcmp(core.data() + load.p_offset + page * 4096,
                                  test::sample_page(block, page).data(), 4096),
                      0)
                << page;
    }
    // A third of the pages is zero.
    struct stat info {};
    ASSERT_EQ(::stat(out.c_str(), &info), 0);
    EXPECT_LT(static_cast<size_t>(info.st_blocks) * 512, core.size() * 3 / 4);
}

TEST_F(ElfCore, has_the_registers_twice) {
    ASSERT_TRUE(test::write_export_image(image));
    const auto report = write();
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->processors, 2u);
    EXPECT_EQ(report->no_registers, "");
    const auto notes = segment(0);
    EXPECT_EQ(notes.p_type, PT_NOTE);
    constexpr size_t core_note = 12 + 8 + 336;
    constexpr size_t qemu_note = 12 + 8 + 440;
    ASSERT_EQ(notes.p_filesz, 2 * core_note + 2 * qemu_note);
    const size_t second = notes.p_offset + core_note;
    EXPECT_EQ(read<uint32_t>(second + 8), uint32_t{NT_PRSTATUS});
    EXPECT_EQ(core.substr(second + 12, 5), std::string("CORE\0", 5));
    const size_t status = second + 20;
    EXPECT_EQ(read<uint32_t>(status + 32), 2u);                // the processor
    EXPECT_EQ(read<uint64_t>(status + 112), 0x500fu);          // r15
    EXPECT_EQ(read<uint64_t>(status + 112 + 10 * 8), 0x5000u); // rax
    EXPECT_EQ(read<uint64_t>(status + 112 + 16 * 8), 0x5010u); // rip
    EXPECT_EQ(read<uint64_t>(status + 112 + 19 * 8), 0x5004u); // rsp
    EXPECT_EQ(read<uint64_t>(status + 112 + 21 * 8), 0x5104u); // fs_base
    const size_t qemu = notes.p_offset + 2 * core_note;
    EXPECT_EQ(core.substr(qemu + 12, 5), std::string("QEMU\0", 5));
    EXPECT_EQ(read<uint32_t>(qemu + 20), 1u);
    EXPECT_EQ(read<uint32_t>(qemu + 24), 440u);
    EXPECT_EQ(read<uint64_t>(qemu + 28), 0x1000u);                // rax
    EXPECT_EQ(read<uint64_t>(qemu + 28 + 16 * 8), 0x1010u);       // rip
    EXPECT_EQ(read<uint64_t>(qemu + 20 + 440 - 8), 0x1200u);      // kernel_gs_base
    EXPECT_EQ(read<uint64_t>(qemu + 20 + 440 - 24), 0x2000u);     // cr3
    EXPECT_EQ(read<uint64_t>(qemu + 20 + 440 - 48 - 8), 0x1109u); // base of the idt
}

TEST_F(ElfCore, without_registers_says_why) {
    ASSERT_TRUE(test::write_export_image(image, "none"));
    const auto report = write();
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->processors, 0u);
    EXPECT_THAT(report->no_registers, HasSubstr("\"cpu\""));
    EXPECT_EQ(read<Elf64_Ehdr>(0).e_phnum, 2);
    EXPECT_EQ(segment(0).p_type, PT_LOAD);
}

} // namespace
} // namespace tlc
