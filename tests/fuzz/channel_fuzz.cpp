// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as what QEMU sends, frame after frame: each refused, or a message that survives being sent on.
#include <tlc/channel/messages.hpp>

#include "fuzz.hpp"

namespace {

// The message at the start of `bytes`, and how long it is; 0: none.
size_t take(std::span<const std::byte> bytes, tlc::Message& message) {
    if (bytes.size() < tlc::frame_header_size) return 0;
    const auto header = tlc::decode_header(bytes.first<tlc::frame_header_size>());
    if (!header) return 0;
    const size_t size = tlc::frame_header_size + header->payload_length;
    if (bytes.size() < size) return 0;
    auto decoded = tlc::decode_payload(header->type, bytes.first(size).subspan(tlc::frame_header_size));
    if (!decoded) return 0;
    message = std::move(*decoded);
    tlc::fuzz::require(tlc::message_type(message) == header->type, "a message has the type of its frame");
    return size;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto bytes = std::as_bytes(std::span(data, size));
    for (tlc::Message message, again; const size_t length = take(bytes, message);
         bytes = bytes.subspan(length)) {
        const auto frame = tlc::encode(message);
        tlc::fuzz::require(frame && take(*frame, again) == frame->size() && again == message,
                           "what was decoded can be encoded and is the same then");
    }
    return 0;
}
