// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/channel/messages.hpp>
#include <tlc/channel/wire.hpp>

namespace tlc {

std::string_view message_name(MessageType type) {
    switch (type) {
    case MessageType::hello:
        return "HELLO";
    case MessageType::pause:
        return "PAUSE";
    case MessageType::paused:
        return "PAUSED";
    case MessageType::resume:
        return "RESUME";
    case MessageType::resumed:
        return "RESUMED";
    case MessageType::load_begin:
        return "LOAD_BEGIN";
    case MessageType::ready:
        return "READY";
    case MessageType::load_devices:
        return "LOAD_DEVICES";
    case MessageType::loaded:
        return "LOADED";
    case MessageType::arm:
        return "ARM";
    case MessageType::armed:
        return "ARMED";
    case MessageType::track:
        return "TRACK";
    case MessageType::tracked:
        return "TRACKED";
    case MessageType::sync:
        return "SYNC";
    case MessageType::error:
        return "ERROR";
    case MessageType::synced:
        return "SYNCED";
    case MessageType::release:
        return "RELEASE";
    case MessageType::released:
        return "RELEASED";
    case MessageType::filled:
        return "FILLED";
    }
    return "unknown";
}

MessageType message_type(const Message& message) {
    return std::visit([](const auto& m) { return m.type; }, message);
}

size_t descriptors_of(MessageType type) {
    switch (type) {
    case MessageType::paused:
    case MessageType::load_devices:
    case MessageType::armed:
    case MessageType::tracked:
        return 1;
    default:
        return 0;
    }
}

namespace {

Status check_text(std::string_view what, std::string_view text, size_t field) {
    if (text.size() >= field) return fail("{} is longer than {} bytes: {}", what, field - 1, text);
    if (text.find('\0') != std::string_view::npos) return fail("{} contains a NUL byte", what);
    return {};
}

Status check_count(size_t count) {
    if (count > max_blocks) return fail("{} RAM blocks; the channel allows {}", count, max_blocks);
    return {};
}

Status put(wire::Writer& out, const MachineDescription& m) {
    TLC_TRY(check_count(m.blocks.size()));
    TLC_TRY(check_text("QEMU's version", m.qemu_version, wire::name_size));
    TLC_TRY(check_text("the machine type", m.machine, wire::name_size));
    out.u32(static_cast<uint32_t>(m.mode));
    out.u32(m.page_size);
    out.u32(static_cast<uint32_t>(m.blocks.size()));
    out.u32(m.pid);
    out.u64(0);
    out.text(m.qemu_version, wire::name_size);
    out.text(m.machine, wire::name_size);
    for (const RamBlock& b : m.blocks) {
        TLC_TRY(check_text("the id of a RAM block", b.id, wire::id_size));
        out.text(b.id, wire::id_size);
        out.u64(b.host_address);
        out.u64(b.used_length);
        out.u64(b.max_length);
        out.u64(b.page_size);
        out.u32((b.protectable ? wire::block_protectable : 0) |
                (b.missing_faults ? wire::block_missing_faults : 0));
        out.u32(0);
    }
    return {};
}

Status put(wire::Writer& out, const Paused& m) {
    out.u64(m.device_state_length);
    out.u64(m.pause_began_ns);
    out.u64(m.stopped_ns);
    out.u32(m.was_running ? 1 : 0);
    out.u32(0);
    return {};
}

Status put(wire::Writer& out, const Resumed& m) {
    out.u64(m.resumed_ns);
    return {};
}

Status put(wire::Writer& out, const LoadBegin& m) {
    TLC_TRY(check_count(m.blocks.size()));
    out.u32(static_cast<uint32_t>(m.blocks.size()));
    out.u32(0);
    for (const LoadBlock& b : m.blocks) {
        TLC_TRY(check_text("the id of a RAM block", b.id, wire::id_size));
        out.text(b.id, wire::id_size);
        out.u64(b.used_length);
    }
    return {};
}

Status put(wire::Writer& out, const LoadDevices& m) {
    out.u64(m.length);
    return {};
}

Status put(wire::Writer& out, const Armed& m) {
    out.u64(m.uffd_features);
    out.u64(0);
    return {};
}

Status put(wire::Writer& out, const Track&) {
    out.u32(0);
    out.u32(0);
    return {};
}

Status put(wire::Writer& out, const Tracked& m) {
    out.u64(m.bitmap_length);
    return {};
}

Status put(wire::Writer& out, const Sync& m) {
    out.u32(m.hold ? wire::sync_hold : 0);
    out.u32(0);
    return {};
}

Status put(wire::Writer& out, const Synced& m) {
    out.u64(m.new_pages);
    out.u64(m.began_ns);
    out.u64(m.ended_ns);
    return {};
}

Status put(wire::Writer& out, const Released& m) {
    out.u64(m.released_ns);
    return {};
}

Status put(wire::Writer& out, const ErrorMessage& m) {
    std::string_view text = m.text.empty() ? std::string_view("no reason given") : m.text;
    if (text.size() > max_error_text) {
        text = text.substr(0, max_error_text);
        // Do not cut a character in two: go back over its continuation bytes and its first byte.
        const bool cut = (static_cast<unsigned char>(m.text[max_error_text]) & 0xc0) == 0x80;
        while (cut && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80 && text.size() > 1)
            text.remove_suffix(1);
        if (cut) text.remove_suffix(1);
    }
    out.bytes(text);
    return {};
}

Status put(wire::Writer&, const Pause&) { return {}; }
Status put(wire::Writer&, const Resume&) { return {}; }
Status put(wire::Writer&, const Loaded&) { return {}; }
Status put(wire::Writer&, const Arm&) { return {}; }
Status put(wire::Writer&, const Release&) { return {}; }
Status put(wire::Writer&, const Filled&) { return {}; }

} // namespace

Result<std::vector<std::byte>> encode(const Message& message) {
    wire::Writer payload;
    TLC_TRY(std::visit([&](const auto& m) { return put(payload, m); }, message));
    const std::vector<std::byte> body = payload.take();
    wire::Writer frame;
    frame.u32(frame_magic);
    frame.u16(frame_version);
    frame.u16(static_cast<uint16_t>(message_type(message)));
    frame.u32(static_cast<uint32_t>(body.size()));
    frame.u32(0);
    std::vector<std::byte> out = frame.take();
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

} // namespace tlc
