// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/channel/wire.hpp>

namespace tlc::wire {

namespace {

// How many bytes the UTF-8 character at the start of text has; 0 when it is none. Overlong forms, surrogates
// and numbers above U+10FFFF are none.
size_t utf8_length(std::string_view text) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    if (at(0) < 0x80) return 1;
    const size_t n = at(0) >= 0xf0 ? 4 : at(0) >= 0xe0 ? 3 : 2;
    if (at(0) < 0xc2 || at(0) > 0xf4 || text.size() < n) return 0;
    for (size_t i = 1; i < n; ++i)
        if ((at(i) & 0xc0) != 0x80) return 0;
    if ((at(0) == 0xe0 && at(1) < 0xa0) || (at(0) == 0xed && at(1) > 0x9f) ||
        (at(0) == 0xf0 && at(1) < 0x90) || (at(0) == 0xf4 && at(1) > 0x8f))
        return 0;
    return n;
}

} // namespace

// An error is always told: what is no text is replaced, not refused.
std::string clean_text(std::span<const std::byte> raw) {
    const std::string_view text(reinterpret_cast<const char*>(raw.data()), raw.size());
    std::string out;
    for (size_t i = 0; i < text.size();) {
        const size_t n = utf8_length(text.substr(i));
        const auto c = static_cast<unsigned char>(text[i]);
        if (n == 0 || c < 0x20 || c == 0x7f)
            out.push_back(n == 0 ? '?' : ' ');
        else
            out.append(text.substr(i, n));
        i += std::max<size_t>(n, 1);
    }
    return out;
}

} // namespace tlc::wire
