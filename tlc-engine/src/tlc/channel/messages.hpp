// SPDX-License-Identifier: GPL-2.0-or-later
// The messages between QEMU and the engine, version 4. A frame is a header of 16 bytes and a payload, all
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
inline constexpr uint16_t frame_version = 4;
inline constexpr size_t frame_header_size = 16;
inline constexpr uint32_t max_blocks = 256;
inline constexpr size_t max_error_text = 4096;
inline constexpr uint64_t max_device_state = uint64_t{1} << 30;
inline constexpr uint64_t max_bitmap = uint64_t{1} << 40; // enough for any address space

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
    arm = 10,
    armed = 11,
    track = 12,
    tracked = 13,
    sync = 14,
    error = 15,
    synced = 16,
    release = 17,
    released = 18,
    filled = 19,
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
    bool missing_faults = false; // ARM registers it for missing faults too: touching a page never touched

    bool operator==(const RamBlock&) const = default;
};

// What QEMU says of itself; HELLO and READY.
struct MachineDescription {
    ChannelMode mode = ChannelMode::save;
    uint32_t page_size = 0;
    uint32_t pid = 0; // in QEMU's own pid namespace; prefer Channel::peer_pid()
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
// Carries one descriptor: the memfd of the device state.
struct Paused {
    static constexpr MessageType type = MessageType::paused;
    uint64_t device_state_length = 0;
    uint64_t pause_began_ns = 0; // CLOCK_MONOTONIC
    uint64_t stopped_ns = 0;     // the device state is saved
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
// "Make the userfaultfd": once, before PAUSE; nothing is protected by it. In a load: after READY and before
// LOAD_DEVICES; whoever touches a page that is not there waits.
struct Arm {
    static constexpr MessageType type = MessageType::arm;
    bool operator==(const Arm&) const = default;
};
// Carries one descriptor: the userfaultfd, registered; its faults are the engine's from here.
struct Armed {
    static constexpr MessageType type = MessageType::armed;
    uint64_t uffd_features = 0; // UFFD_FEATURE_* that are on
    bool operator==(const Armed&) const = default;
};
// "Start the dirty log": once, before PAUSE.
struct Track {
    static constexpr MessageType type = MessageType::track;
    bool operator==(const Track&) const = default;
};
// Carries one descriptor: the memfd of the bitmap, in which QEMU sets bits and the engine clears them. Blocks
// in HELLO's order, each from a 64-bit word on, one bit a page of 4096 bytes: bit p % 64 of its word p / 64.
struct Tracked {
    static constexpr MessageType type = MessageType::tracked;
    uint64_t bitmap_length = 0;
    bool operator==(const Tracked&) const = default;
};
// "Move the dirty log into the bitmap"; hold: stop the VM before, until Release or Pause.
struct Sync {
    static constexpr MessageType type = MessageType::sync;
    bool hold = false;
    bool operator==(const Sync&) const = default;
};
struct Synced {
    static constexpr MessageType type = MessageType::synced;
    uint64_t new_pages = 0; // bits that were 0 before
    uint64_t began_ns = 0;  // CLOCK_MONOTONIC; with hold: the VM began to stop
    uint64_t ended_ns = 0;
    bool operator==(const Synced&) const = default;
};
// "Let the VM go on" after a Sync that holds it.
struct Release {
    static constexpr MessageType type = MessageType::release;
    bool operator==(const Release&) const = default;
};
struct Released {
    static constexpr MessageType type = MessageType::released;
    uint64_t released_ns = 0; // CLOCK_MONOTONIC
    bool operator==(const Released&) const = default;
};
// "Every page is in", of a load with ARM.
struct Filled {
    static constexpr MessageType type = MessageType::filled;
    bool operator==(const Filled&) const = default;
};
// The peer has backed out. Text is UTF-8 without control characters.
struct ErrorMessage {
    static constexpr MessageType type = MessageType::error;
    std::string text;
    bool operator==(const ErrorMessage&) const = default;
};

using Message =
    std::variant<Hello, Pause, Paused, Resume, Resumed, LoadBegin, Ready, LoadDevices, Loaded, Arm, Armed,
                 Track, Tracked, Sync, Synced, Release, Released, Filled, ErrorMessage>;

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
