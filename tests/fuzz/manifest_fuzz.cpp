// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a manifest, as they are and with a checksum that fits: refused, or read and written back to an
// equal one.
#include <tlc/catalog/manifest.hpp>
#include <tlc/catalog/manifest_checksum.hpp>

#include "fuzz.hpp"

namespace {

void check(std::string_view text) {
    const auto manifest = tlc::parse_manifest(text);
    if (!manifest) return;
    const auto written = tlc::manifest_text(*manifest);
    tlc::fuzz::require(written.has_value(), "a manifest that was read can be written");
    const auto again = tlc::parse_manifest(*written);
    tlc::fuzz::require(again && *again == *manifest, "and read again");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto text = tlc::fuzz::text(data, size);
    check(text);
    auto object = nlohmann::json::parse(text, nullptr, false);
    if (!object.is_object()) return 0;
    const auto sum = tlc::manifest_checksum(object);
    if (!sum) return 0;
    object["checksum"] = *sum;
    check(object.dump());
    return 0;
}
