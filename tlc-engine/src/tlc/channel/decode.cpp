// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/channel/messages.hpp>
#include <tlc/channel/wire.hpp>

#include <bit>
#include <climits>
#include <set>

namespace tlc {

namespace {

constexpr uint64_t highest_address = uint64_t{1} << 56; // user space, five-level page tables included

struct Limits {
    size_t least;
    size_t most;
};

std::optional<Limits> payload_limits(MessageType type) {
    switch (type) {
    case MessageType::hello:
    case MessageType::ready:
        return Limits{wire::description_size, wire::description_size + max_blocks * wire::ram_block_size};
    case MessageType::pause:
    case MessageType::resume:
    case MessageType::loaded:
    case MessageType::arm:
    case MessageType::release:
    case MessageType::filled:
        return Limits{0, 0};
    case MessageType::paused:
        return Limits{32, 32};
    case MessageType::resumed:
    case MessageType::load_devices:
    case MessageType::track:
    case MessageType::tracked:
    case MessageType::sync:
    case MessageType::released:
        return Limits{8, 8};
    case MessageType::armed:
        return Limits{16, 16};
    case MessageType::synced:
        return Limits{24, 24};
    case MessageType::load_begin:
        return Limits{wire::load_begin_size, wire::load_begin_size + max_blocks * wire::load_block_size};
    case MessageType::error:
        return Limits{1, max_error_text};
    }
    return std::nullopt;
}

bool printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

Result<std::string> take_text(wire::Reader& in, size_t size, std::string_view what) {
    auto text = in.text(size);
    if (!text) return fail("{} has no end in its field", what);
    if (!printable(*text)) return fail("{} contains bytes that are not printable ASCII", what);
    return std::move(*text);
}

Result<std::string> take_id(wire::Reader& in, std::set<std::string>& known) {
    TLC_TRY_ASSIGN(id, take_text(in, wire::id_size, "the id of a RAM block"));
    if (id.empty()) return fail("a RAM block has no id");
    if (!known.insert(id).second) return fail("RAM block {} is named twice", id);
    return std::move(id);
}

Status check_count(uint32_t count, size_t length, size_t fixed, size_t each) {
    if (count > max_blocks) return fail("{} RAM blocks, {} are allowed", count, max_blocks);
    if (length != fixed + count * each) return fail("{} bytes do not hold {} RAM blocks", length, count);
    return {};
}

Status check_block(const RamBlock& b, uint32_t page_size) {
    if (!std::has_single_bit(b.page_size) || b.page_size < page_size || b.page_size > (uint64_t{1} << 30))
        return fail("RAM block {}: page size {}", b.id, b.page_size);
    if (b.host_address == 0 || b.host_address % page_size != 0 || b.host_address >= highest_address)
        return fail("RAM block {}: host address {:#x}", b.id, b.host_address);
    if (b.max_length == 0 || b.max_length % page_size != 0 || b.max_length > highest_address - b.host_address)
        return fail("RAM block {}: maximum length {}", b.id, b.max_length);
    if (b.used_length > b.max_length || b.used_length % page_size != 0)
        return fail("RAM block {}: used length {} of {}", b.id, b.used_length, b.max_length);
    if (b.missing_faults && !b.protectable)
        return fail("RAM block {}: missing faults without write protection", b.id);
    return {};
}

Status check_overlap(const std::vector<RamBlock>& blocks) {
    std::vector<const RamBlock*> order;
    for (const RamBlock& b : blocks)
        order.push_back(&b);
    std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->host_address < b->host_address; });
    for (size_t i = 1; i < order.size(); ++i)
        if (order[i - 1]->host_address + order[i - 1]->max_length > order[i]->host_address)
            return fail("RAM blocks {} and {} overlap", order[i - 1]->id, order[i]->id);
    return {};
}

Result<RamBlock> take_block(wire::Reader& in, std::set<std::string>& known, uint32_t page_size) {
    RamBlock b;
    TLC_TRY_ASSIGN(id, take_id(in, known));
    b.id = std::move(id);
    b.host_address = in.u64();
    b.used_length = in.u64();
    b.max_length = in.u64();
    b.page_size = in.u64();
    const uint32_t flags = in.u32();
    if ((flags & ~(wire::block_protectable | wire::block_missing_faults)) != 0)
        return fail("RAM block {}: unknown flags {:#x}", b.id, flags);
    b.protectable = (flags & wire::block_protectable) != 0;
    b.missing_faults = (flags & wire::block_missing_faults) != 0;
    if (in.u32() != 0) return fail("RAM block {}: reserved field is not 0", b.id);
    TLC_TRY(check_block(b, page_size));
    return b;
}

Status take(wire::Reader& in, size_t length, MachineDescription& m) {
    const uint32_t mode = in.u32();
    if (mode != 1 && mode != 2) return fail("mode {}", mode);
    m.mode = static_cast<ChannelMode>(mode);
    m.page_size = in.u32();
    if (!std::has_single_bit(m.page_size) || m.page_size < 4096 || m.page_size > 65536)
        return fail("page size {}", m.page_size);
    const uint32_t count = in.u32();
    TLC_TRY(check_count(count, length, wire::description_size, wire::ram_block_size));
    m.pid = in.u32();
    if (m.pid == 0 || m.pid > INT_MAX) return fail("process id {}", m.pid);
    if (in.u64() != 0) return fail("reserved field is not 0");
    TLC_TRY_ASSIGN(version, take_text(in, wire::name_size, "QEMU's version"));
    TLC_TRY_ASSIGN(machine, take_text(in, wire::name_size, "the machine type"));
    m.qemu_version = std::move(version);
    m.machine = std::move(machine);
    std::set<std::string> known;
    for (uint32_t i = 0; i < count; ++i) {
        TLC_TRY_ASSIGN(block, take_block(in, known, m.page_size));
        m.blocks.push_back(std::move(block));
    }
    return check_overlap(m.blocks);
}

Status take(wire::Reader& in, size_t, Paused& m) {
    m.device_state_length = in.u64();
    m.pause_began_ns = in.u64();
    m.stopped_ns = in.u64();
    const uint32_t was_running = in.u32();
    if (m.device_state_length == 0 || m.device_state_length > max_device_state)
        return fail("device state of {} bytes", m.device_state_length);
    if (m.stopped_ns < m.pause_began_ns) return fail("the pause ends before it begins");
    if (was_running > 1) return fail("was_running is {}", was_running);
    if (in.u32() != 0) return fail("reserved field is not 0");
    m.was_running = was_running == 1;
    return {};
}

Status take(wire::Reader& in, size_t, Resumed& m) {
    m.resumed_ns = in.u64();
    return {};
}

Status take(wire::Reader& in, size_t length, LoadBegin& m) {
    const uint32_t count = in.u32();
    TLC_TRY(check_count(count, length, wire::load_begin_size, wire::load_block_size));
    if (in.u32() != 0) return fail("reserved field is not 0");
    std::set<std::string> known;
    for (uint32_t i = 0; i < count; ++i) {
        TLC_TRY_ASSIGN(id, take_id(in, known));
        const uint64_t used = in.u64();
        if (used % 4096 != 0 || used >= highest_address)
            return fail("RAM block {}: used length {}", id, used);
        m.blocks.push_back({std::move(id), used});
    }
    return {};
}

Status take(wire::Reader& in, size_t, LoadDevices& m) {
    m.length = in.u64();
    if (m.length == 0 || m.length > max_device_state) return fail("device state of {} bytes", m.length);
    return {};
}

Status take(wire::Reader& in, size_t, Armed& m) {
    m.uffd_features = in.u64();
    if (in.u64() != 0) return fail("reserved field is not 0");
    return {};
}

Status take(wire::Reader& in, size_t, Track&) {
    if (in.u64() != 0) return fail("reserved field is not 0");
    return {};
}

Status take(wire::Reader& in, size_t, Tracked& m) {
    m.bitmap_length = in.u64();
    if (m.bitmap_length % 8 != 0 || m.bitmap_length > max_bitmap)
        return fail("a bitmap of {} bytes", m.bitmap_length);
    return {};
}

Status take(wire::Reader& in, size_t, Sync& m) {
    const uint32_t flags = in.u32();
    if ((flags & ~wire::sync_hold) != 0) return fail("unknown flags {:#x}", flags);
    if (in.u32() != 0) return fail("reserved field is not 0");
    m.hold = (flags & wire::sync_hold) != 0;
    return {};
}

Status take(wire::Reader& in, size_t, Synced& m) {
    m.new_pages = in.u64();
    m.began_ns = in.u64();
    m.ended_ns = in.u64();
    if (m.ended_ns < m.began_ns) return fail("the sync ends before it begins");
    return {};
}

Status take(wire::Reader& in, size_t, Released& m) {
    m.released_ns = in.u64();
    return {};
}

// A message without fields.
template <typename M>
requires std::is_empty_v<M> Status take(wire::Reader&, size_t, M&) { return {}; }

template <typename M>
Result<Message> decode_as(std::span<const std::byte> payload) {
    if constexpr (std::is_same_v<M, ErrorMessage>) {
        return Message(M{wire::clean_text(payload)});
    } else {
        M message;
        wire::Reader in(payload);
        if (auto done = take(in, payload.size(), message); !done)
            return in_context(std::move(done).error(), message_name(M::type));
        if (!in.complete())
            return fail("{}: {} bytes are not its length", message_name(M::type), payload.size());
        return Message(std::move(message));
    }
}

// Tries each alternative of Message for its type.
template <size_t... i>
Result<Message> decode_any(MessageType type, std::span<const std::byte> payload, std::index_sequence<i...>) {
    Result<Message> result = fail("unknown message type {}", static_cast<unsigned>(type));
    const auto attempt = [&]<typename M>(std::type_identity<M>) {
        if (M::type == type) result = decode_as<M>(payload);
    };
    (attempt(std::type_identity<std::variant_alternative_t<i, Message>>()), ...);
    return result;
}

} // namespace

Result<FrameHeader> decode_header(std::span<const std::byte, frame_header_size> bytes) {
    wire::Reader in(bytes);
    if (in.u32() != frame_magic) return fail("this is no TLC frame (wrong magic number)");
    const uint16_t version = in.u16();
    if (version != frame_version)
        return fail(
            ErrorKind::incompatible,
            "channel version {}, this engine speaks {}: install QEMU and tlc-engine of the same release",
            version, frame_version);
    const uint16_t number = in.u16();
    const auto type = static_cast<MessageType>(number);
    const uint32_t length = in.u32();
    const auto limits = payload_limits(type);
    if (!limits) return fail("unknown message type {}", number);
    if (length < limits->least || length > limits->most)
        return fail("{} with a payload of {} bytes", message_name(type), length);
    if (in.u32() != 0) return fail("{}: reserved field of the header is not 0", message_name(type));
    return FrameHeader{type, length};
}

Result<Message> decode_payload(MessageType type, std::span<const std::byte> payload) {
    const auto limits = payload_limits(type);
    if (!limits) return fail("unknown message type {}", static_cast<unsigned>(type));
    if (payload.size() < limits->least || payload.size() > limits->most)
        return fail("{} with a payload of {} bytes", message_name(type), payload.size());
    return decode_any(type, payload, std::make_index_sequence<std::variant_size_v<Message>>());
}

} // namespace tlc
