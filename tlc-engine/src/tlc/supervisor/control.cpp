// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/control.hpp>

#include <nlohmann/json.hpp>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace tlc {
namespace {

constexpr size_t longest_line = size_t{1} << 16;

std::optional<int> number(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_integer()) return std::nullopt;
    const auto value = found->get<int64_t>();
    if (value < 0 || value > 255) return std::nullopt;
    return static_cast<int>(value);
}

} // namespace

std::optional<GuestEvent> parse_guest_event(const std::string& line) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object() || !object.contains("event") || !object["event"].is_string()) return std::nullopt;
    const std::string name = object["event"];
    GuestEvent event;
    if (name == "booted")
        event.kind = GuestEvent::Kind::booted;
    else if (name == "started")
        event.kind = GuestEvent::Kind::started;
    else if (name == "heartbeat")
        event.kind = GuestEvent::Kind::heartbeat;
    else if (name == "error") {
        event.kind = GuestEvent::Kind::failed;
        if (object.contains("message") && object["message"].is_string()) event.message = object["message"];
    } else if (name == "exit") {
        event.kind = GuestEvent::Kind::exited;
        const auto code = number(object, "code");
        const auto signal = number(object, "signal");
        if (!code && !signal) return std::nullopt;
        event.signalled = !code;
        event.code = code ? *code : *signal;
    } else
        return std::nullopt;
    return event;
}

Result<ControlReader> ControlReader::open(const std::filesystem::path& path) {
    TLC_TRY_ASSIGN(fd, open_file(path, O_RDONLY | O_CREAT));
    return ControlReader(std::move(fd));
}

Result<std::vector<GuestEvent>> ControlReader::poll() {
    std::vector<GuestEvent> events;
    char buffer[1 << 14];
    for (;;) {
        const ssize_t n = ::pread(fd_.get(), buffer, sizeof buffer, static_cast<off_t>(at_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "cannot read the guest's control lines");
        if (n == 0) return events;
        at_ += static_cast<uint64_t>(n);
        pending_.append(buffer, static_cast<size_t>(n));
        for (size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n')) {
            if (auto event = parse_guest_event(pending_.substr(0, end))) events.push_back(std::move(*event));
            pending_.erase(0, end + 1);
        }
        if (pending_.size() > longest_line) pending_.clear();
    }
}

} // namespace tlc
