// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/log_line.hpp>
#include <tlc/base/units.hpp>

#include <algorithm>
#include <array>

namespace tlc::log {
namespace {

constexpr std::array<const char*, 4> names{"debug", "info", "warning", "error"};

// The length of the "name=" at the start of `text`; 0: there is none.
size_t field_name(std::string_view text) {
    const auto end = std::find_if_not(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (end == text.begin() || end == text.end() || *end != '=') return 0;
    if (text.front() < 'a' || text.front() > 'z') return 0;
    return static_cast<size_t>(end - text.begin()) + 1;
}

// Where the first field of `text` begins, at a word's start; its size: there is none.
size_t next_field(std::string_view text) {
    for (size_t at = 0; at < text.size(); ++at) {
        if (field_name(text.substr(at)) > 0) return at;
        at = std::min(text.find(' ', at), text.size());
    }
    return text.size();
}

std::string_view without_spaces_after(std::string_view text) {
    const auto last = text.find_last_not_of(' ');
    return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

} // namespace

const char* level_name(Level level) { return names.at(static_cast<size_t>(level)); }

std::optional<Level> parse_level(std::string_view name) {
    const auto* found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    return static_cast<Level>(found - names.begin());
}

std::optional<Line> parse_line(std::string_view line) {
    const auto after_time = line.find(' ');
    if (after_time == std::string_view::npos || !parse_utc(line.substr(0, after_time))) return std::nullopt;
    const auto after_level = line.find(' ', after_time + 1);
    if (after_level == std::string_view::npos) return std::nullopt;
    const auto level = parse_level(line.substr(after_time + 1, after_level - after_time - 1));
    if (!level) return std::nullopt;

    Line found{
        std::string(line.substr(0, after_time)), *level, std::string(line.substr(after_level + 1)), {}, {}};
    std::string_view rest = found.message;
    const size_t first = next_field(rest);
    found.text = without_spaces_after(rest.substr(0, first));
    rest.remove_prefix(first);
    while (!rest.empty()) {
        const size_t name = field_name(rest);
        const size_t end = name + next_field(rest.substr(name));
        found.fields.emplace_back(rest.substr(0, name - 1),
                                  without_spaces_after(rest.substr(name, end - name)));
        rest.remove_prefix(end);
    }
    return found;
}

} // namespace tlc::log
