// SPDX-License-Identifier: GPL-2.0-or-later
// The messages between QEMU and the engine, version 1. A frame is a header of 16 bytes and a payload, all
// integers little endian. encode and decode are pure functions: no I/O, no state, thread-safe. decode checks
// every length, count and string before use and refuses what it does not know; lengths are bytes.
#pragma once

#include <tlc/base/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tlc {

inline constexpr uint32_t frame_magic = 0x31434c54; // "TLC1"
inline constexpr uint16_t frame_version = 1;
inline constexpr size_t frame_header_size = 16;
inline constexpr uint32_t max_blocks = 256;
inline constexpr size_t max_error_text = 4096;
inline constexpr uint64_t max_device_state = uint64_t{1} << 30;

// The numbers are on the wire and frozen.
enum class MessageType : uint16_t {
    hello = 1,
    pause = 2,
    paused = 3,
    resume = 4,
    resumed = 5,
    load_begin = 6,
    ready = 7,
    load_devices = 8,
    loaded = 9,
    error = 15,
};
std::string_view message_name(MessageType type); // "PAUSED"

enum class ChannelMode : uint32_t { save = 1, load = 2 };

// One block of guest RAM in QEMU's address space.
struct RamBlock {
    std::string id; // printable ASCII, unique in its message
    uint64_t host_address = 0;
    uint64_t used_length = 0; // what the guest has; the rest up to max_length is reserve
    uint64_t max_length = 0;
    uint64_t page_size = 0;      // of the memory behind it: 4096, or a huge page's
    bool protectable = false;    // writes of the guest can be write-protected
    bool missing_faults = false; // never-touched pages raise faults too, they need not be populated first

    bool operator==(const RamBlock&) const = default;
};

// What QEMU says of itself; HELLO and READY.
struct MachineDescription {
    ChannelMode mode = ChannelMode::save;
    uint32_t page_size = 0;
    uint32_t pid = 0;           // in QEMU's own pid namespace; prefer Channel::peer_pid()
    uint64_t uffd_features = 0; // UFFD_FEATURE_* of QEMU's userfaultfd; 0 in a load
    std::string qemu_version;
    std::string machine;
    std::vector<RamBlock> blocks;

    bool operator==(const MachineDescription&) const = default;
};

struct Hello : MachineDescription {
    static constexpr MessageType type = MessageType::hello;
};
struct Pause {
    static constexpr MessageType type = MessageType::pause;
    bool operator==(const Pause&) const = default;
};
// Carries two descriptors: the userfaultfd, then the memfd of the device state.
struct Paused {
    static constexpr MessageType type = MessageType::paused;
    uint64_t device_state_length = 0;
    uint64_t pause_began_ns = 0; // CLOCK_MONOTONIC
    uint64_t protected_ns = 0;
    bool was_running = false;
    bool operator==(const Paused&) const = default;
};
struct Resume {
    static constexpr MessageType type = MessageType::resume;
    bool operator==(const Resume&) const = default;
};
struct Resumed {
    static constexpr MessageType type = MessageType::resumed;
    uint64_t resumed_ns = 0; // CLOCK_MONOTONIC
    bool operator==(const Resumed&) const = default;
};
struct LoadBlock {
    std::string id;
    uint64_t used_length = 0;
    bool operator==(const LoadBlock&) const = default;
};
struct LoadBegin {
    static constexpr MessageType type = MessageType::load_begin;
    std::vector<LoadBlock> blocks;
    bool operator==(const LoadBegin&) const = default;
};
struct Ready : MachineDescription {
    static constexpr MessageType type = MessageType::ready;
};
// Carries one descriptor: the memfd of the device state.
struct LoadDevices {
    static constexpr MessageType type = MessageType::load_devices;
    uint64_t length = 0;
    bool operator==(const LoadDevices&) const = default;
};
struct Loaded {
    static constexpr MessageType type = MessageType::loaded;
    bool operator==(const Loaded&) const = default;
};
// The peer has backed out. Text is UTF-8 without control characters.
struct ErrorMessage {
    static constexpr MessageType type = MessageType::error;
    std::string text;
    bool operator==(const ErrorMessage&) const = default;
};

using Message =
    std::variant<Hello, Pause, Paused, Resume, Resumed, LoadBegin, Ready, LoadDevices, Loaded, ErrorMessage>;

MessageType message_type(const Message& message);
// How many descriptors a message of this type carries, never more and never less.
size_t descriptors_of(MessageType type);

// Header and payload. An error where the message itself breaks a limit (too many blocks, a name too long);
// an ERROR's text is cut to its limit instead.
Result<std::vector<std::byte>> encode(const Message& message);

struct FrameHeader {
    MessageType type = MessageType::error;
    uint32_t payload_length = 0; // within the limits of its type
};
Result<FrameHeader> decode_header(std::span<const std::byte, frame_header_size> bytes);
Result<Message> decode_payload(MessageType type, std::span<const std::byte> payload);

} // namespace tlc
