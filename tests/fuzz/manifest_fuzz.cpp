// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a manifest: refused, or read and written back to an equal one.
#include <tlc/catalog/manifest.hpp>

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto manifest = tlc::parse_manifest({reinterpret_cast<const char*>(data), size});
    if (!manifest) return 0;
    const auto text = tlc::manifest_text(*manifest);
    if (!text) std::abort();
    const auto again = tlc::parse_manifest(*text);
    if (!again || !(*again == *manifest)) std::abort();
    return 0;
}
