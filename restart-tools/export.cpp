// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/checkpoint/progress.hpp>
#include <tlc/export/elf_core.hpp>
#include <tlc/export/migration_stream.hpp>
#include <tlc/export/output_file.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <thread>

#include "commands.hpp"

namespace tlc {
namespace {

struct Written {
    uint64_t bytes = 0;
    std::string what; // for people
};

Result<Written> write_qemu(const ImageReader& image, int fd, unsigned threads, std::atomic<uint64_t>& done) {
    TLC_TRY_ASSIGN(bytes, write_migration_stream(image, fd, threads, done));
    return Written{bytes, fmt::format("a migration stream of a {} machine; QEMU {} saved it",
                                      image.info().machine, image.info().qemu_version)};
}

Result<Written> write_elf(const ImageReader& image, int fd, unsigned threads, std::atomic<uint64_t>& done) {
    TLC_TRY_ASSIGN(report, write_elf_core(image, fd, threads, done));
    Written written{report.bytes, "a core file of physical memory, "};
    written.what += report.no_registers.empty() ? fmt::format("registers of {} processors", report.processors)
                                                : "no registers: " + report.no_registers;
    if (!report.left_out.empty())
        written.what += fmt::format("; without {}", fmt::join(report.left_out, ", "));
    return written;
}

} // namespace

Status export_checkpoint(const std::filesystem::path& directory, const ExportOptions& options, bool json) {
    TLC_TRY_ASSIGN(file, OutputFile::create(options.out));
    TLC_TRY_ASSIGN(parts, CheckpointParts::open(directory));
    const ImageReader& image = parts.image();
    const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    std::atomic<uint64_t> done{0};
    Result<Written> written;
    {
        const Progress progress("exporting", image.used_bytes(), [&] { return done.load(); });
        written = options.format == "elf" ? write_elf(image, file.fd(), threads, done)
                                          : write_qemu(image, file.fd(), threads, done);
    }
    if (!written) return in_context(written.error(), fmt::format("cannot export to {}", options.out));
    TLC_TRY(file.publish());
    if (json) {
        const nlohmann::json object{
            {"file", options.out}, {"format", options.format}, {"bytes", written->bytes}};
        fmt::print("{}\n", object.dump(2));
    } else {
        fmt::print("{}: {}, {}\n", options.out, size_text(written->bytes), written->what);
    }
    return {};
}

} // namespace tlc
