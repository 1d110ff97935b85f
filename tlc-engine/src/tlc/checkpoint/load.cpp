// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/catalog/manifest.hpp>
#include <tlc/checkpoint/load.hpp>
#include <tlc/checkpoint/memory_loader.hpp>
#include <tlc/checkpoint/progress.hpp>
#include <tlc/checkpoint/session.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <chrono>

namespace tlc {
namespace {

constexpr auto discard_limit = std::chrono::seconds(60);
constexpr auto device_limit = std::chrono::seconds(60);

Result<ImageReader> open_image(const std::filesystem::path& from) {
    const auto manifest = read_manifest(from);
    if (manifest) {
        TLC_TRY(check_parts(*manifest, from));
        return ImageReader::open(from / manifest->memory.file, manifest->memory.digest);
    }
    if (manifest.error().kind != ErrorKind::no_checkpoint) return tl::unexpected(manifest.error());
    if (!std::filesystem::exists(from / "memory.h5"))
        return fail(ErrorKind::no_checkpoint, "{} holds no checkpoint (there is no memory.h5)",
                    from.string());
    return ImageReader::open(from / "memory.h5");
}

const RamBlock* find_block(const MachineDescription& machine, const std::string& id) {
    const auto found = std::find_if(machine.blocks.begin(), machine.blocks.end(),
                                    [&](const auto& block) { return block.id == id; });
    return found == machine.blocks.end() ? nullptr : &*found;
}

// The saved machine and this one must have the same memory, block by block.
Status check_machine(const ImageReader& image, const MachineDescription& machine) {
    if (image.info().machine != machine.machine)
        return fail(ErrorKind::incompatible, "the checkpoint is of a {} machine, this one is {}",
                    image.info().machine, machine.machine);
    if (image.blocks().size() != machine.blocks.size())
        return fail(ErrorKind::incompatible,
                    "the checkpoint has {} memory blocks, this machine {}; start QEMU with the same devices",
                    image.blocks().size(), machine.blocks.size());
    for (const auto& saved : image.blocks()) {
        const auto* block = find_block(machine, saved.id);
        if (block == nullptr)
            return fail(ErrorKind::incompatible,
                        "this machine has no memory block \"{}\"; start QEMU with the same devices",
                        saved.id);
        if (saved.length > block->max_length)
            return fail(
                ErrorKind::incompatible,
                "memory block \"{}\" has {} bytes, {} were saved; start QEMU with the same memory size",
                saved.id, block->max_length, saved.length);
    }
    return {};
}

Result<Fd> as_memfd(std::span<const std::byte> bytes) {
    Fd fd(::memfd_create("device-state", MFD_CLOEXEC));
    if (!fd) return fail_errno(errno, "memfd_create");
    TLC_TRY(write_all(fd.get(), bytes));
    return fd;
}

} // namespace

Result<LoadReport> load_checkpoint(const std::filesystem::path& qmp_socket,
                                   const std::filesystem::path& from) {
    const auto began = std::chrono::steady_clock::now();
    TLC_TRY_ASSIGN(image, open_image(from));
    TLC_TRY_ASSIGN(session, open_session(qmp_socket, ChannelMode::load, {}));
    TLC_TRY(check_machine(image, session.machine));

    LoadBegin begin;
    LoadReport report;
    for (const auto& block : image.blocks()) {
        begin.blocks.push_back({block.id, block.length});
        report.ram_bytes += block.length;
    }
    TLC_TRY(session.channel.send(begin, discard_limit));
    TLC_TRY_ASSIGN(ready, session.channel.expect<Ready>(discard_limit));
    std::vector<uint64_t> addresses;
    for (const auto& block : image.blocks()) {
        const auto* place = find_block(ready.message, block.id);
        if (place == nullptr || place->used_length != block.length)
            return fail("QEMU did not make memory block \"{}\" ready", block.id);
        addresses.push_back(place->host_address);
    }

    std::atomic<uint64_t> pages{0};
    {
        const Progress progress("restoring", image.used_bytes(), [&] { return pages * image_page_size; });
        TLC_TRY(write_memory(session.channel.peer_pid(), image, addresses, pages));
    }
    TLC_TRY_ASSIGN(devices, as_memfd(image.device_state()));
    const int descriptors[] = {devices.get()};
    TLC_TRY(session.channel.send(LoadDevices{image.device_state().size()}, device_limit, descriptors));
    TLC_TRY(session.channel.expect<Loaded>(device_limit));
    TLC_TRY(session.channel.send(Resume{}, device_limit));
    TLC_TRY(session.channel.expect<Resumed>(device_limit));
    report.pages_loaded = pages;
    report.latency_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    return report;
}

} // namespace tlc
