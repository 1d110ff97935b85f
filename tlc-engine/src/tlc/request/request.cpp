// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/request/request.hpp>

#include <charconv>
#include <optional>
#include <set>

namespace tlc {
namespace {

std::string escape(std::string_view value) {
    std::string out;
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '%' || c == ',' || byte < 0x20 || byte == 0x7f)
            out += fmt::format("%{:02X}", byte);
        else
            out += c;
    }
    return out;
}

std::optional<std::string> unescape(std::string_view value) {
    std::string out;
    for (size_t at = 0; at < value.size(); ++at) {
        if (value[at] == '\0') return std::nullopt; // no path and no variable has one
        if (value[at] != '%') {
            out += value[at];
            continue;
        }
        unsigned byte = 0;
        const auto digits = value.substr(at + 1, 2);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2 || byte == 0)
            return std::nullopt;
        out += static_cast<char>(byte);
        at += 2;
    }
    return out;
}

void put_list(std::string& text, const char* key, const std::vector<std::string>& list) {
    if (list.empty()) return;
    std::string value;
    for (const auto& item : list)
        value += (value.empty() ? "" : ",") + escape(item);
    text += fmt::format("{}={}\n", key, value);
}

template <typename Number>
bool read_number(std::string_view value, Number& to) {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), to);
    return error == std::errc{} && end == value.data() + value.size() && to > 0;
}

bool read_string(std::string_view value, std::string& to) {
    const auto plain = unescape(value);
    if (!plain || plain->empty()) return false;
    to = *plain;
    return true;
}

bool read_list(std::string_view value, std::vector<std::string>& to) {
    for (size_t at = 0;;) {
        const size_t comma = value.find(',', at);
        if (!read_string(value.substr(at, comma - at), to.emplace_back())) return false;
        if (comma == std::string_view::npos) return true;
        at = comma + 1;
    }
}

bool read_interval(std::string_view value, JobRequest& request) {
    int64_t seconds = 0;
    request.automatic = value == "auto";
    if (value == "0" || request.automatic) return true;
    if (!read_number(value, seconds)) return false;
    request.interval = std::chrono::seconds(seconds);
    return true;
}

bool read_yes(std::string_view value, bool& to) {
    to = value == "yes";
    return to;
}

// Nothing for an unknown key, else whether the value was understood.
std::optional<bool> read_field(std::string_view key, std::string_view value, JobRequest& request) {
    if (key == "interval") return read_interval(value, request);
    if (key == "image") return read_string(value, request.image);
    if (key == "checkpoint_dir") return read_string(value, request.checkpoint_dir);
    if (key == "keep") return read_number(value, request.keep);
    if (key == "continue") return read_yes(value, request.continues);
    if (key == "requeue") return read_yes(value, request.requeues);
    if (key == "buffer") return read_number(value, request.buffer_bytes);
    if (key == "memory") return read_number(value, request.memory_bytes);
    if (key == "stage_in") return read_list(value, request.stage_in);
    if (key == "stage_out") return read_list(value, request.stage_out);
    return std::nullopt;
}

} // namespace

bool stages_nothing(const std::vector<std::string>& list) {
    return list.size() == 1 && list.front() == "none";
}

std::string to_text(const JobRequest& request) {
    std::string text =
        request.automatic ? "interval=auto\n" : fmt::format("interval={}\n", request.interval.count());
    if (!request.image.empty()) text += fmt::format("image={}\n", escape(request.image));
    if (!request.checkpoint_dir.empty())
        text += fmt::format("checkpoint_dir={}\n", escape(request.checkpoint_dir));
    if (request.keep > 0) text += fmt::format("keep={}\n", request.keep);
    if (request.continues) text += "continue=yes\n";
    if (request.requeues) text += "requeue=yes\n";
    if (request.buffer_bytes > 0) text += fmt::format("buffer={}\n", request.buffer_bytes);
    if (request.memory_bytes > 0) text += fmt::format("memory={}\n", request.memory_bytes);
    put_list(text, "stage_in", request.stage_in);
    put_list(text, "stage_out", request.stage_out);
    return text;
}

std::string interval_text(const JobRequest& request) {
    if (request.automatic) return "auto";
    return request.active() ? fmt::format("{}s", request.interval.count()) : "off";
}

Result<JobRequest> from_text(std::string_view text) {
    JobRequest request;
    std::set<std::string_view> seen;
    int number = 0;
    while (!text.empty()) {
        ++number;
        const size_t end = text.find('\n');
        const auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            return fail(ErrorKind::damaged, "job request, line {}: \"{}\" is not key=value", number, line);
        const auto key = line.substr(0, equals);
        if (!seen.insert(key).second)
            return fail(ErrorKind::damaged, "job request, line {}: {} is given twice", number, key);
        const auto understood = read_field(key, line.substr(equals + 1), request);
        if (!understood)
            return fail(ErrorKind::damaged,
                        "job request, line {}: unknown key {} (is another version of tlc installed here?)",
                        number, key);
        if (!*understood)
            return fail(ErrorKind::damaged, "job request, line {}: bad value in \"{}\"", number, line);
    }
    if (!seen.contains("interval"))
        return fail(ErrorKind::damaged, "job request: the key interval is missing");
    return request;
}

} // namespace tlc
