// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/slurm/command.hpp>
#include <tlc/slurm/settings.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <netdb.h>
#include <optional>
#include <poll.h>

namespace tlc {
namespace {

std::optional<unsigned> first_number(std::string_view text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} ? std::optional(number) : std::nullopt;
}

// "name(address)", "name".
std::string address_in(std::string_view value) {
    const auto open = value.find('(');
    if (open != std::string_view::npos) {
        auto address = value.substr(open + 1);
        return std::string(address.substr(0, address.find(')')));
    }
    return std::string(value.substr(0, value.find_first_of(" ,")));
}

void read_line(std::string_view key, std::string_view value, SlurmSettings& settings) {
    const auto number = first_number(value);
    if (key == "KillWait" && number) settings.kill_wait = std::chrono::seconds(*number);
    if (key == "SlurmdTimeout" && number) settings.slurmd_timeout = std::chrono::seconds(*number);
    if (key == "SlurmctldPort" && number && *number > 0 && *number < 65536)
        settings.controller_port = static_cast<uint16_t>(*number); // of a range the first
    if (key.starts_with("SlurmctldHost[") && !value.empty())
        settings.controllers.push_back(address_in(value));
}

} // namespace

SlurmSettings parse_slurm_settings(std::string_view text) {
    SlurmSettings settings;
    while (!text.empty()) {
        const auto end = text.find('\n');
        auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const auto equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        auto key = line.substr(0, equals);
        key = key.substr(0, key.find_last_not_of(' ') + 1);
        auto value = line.substr(equals + 1);
        value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
        read_line(key, value, settings);
    }
    return settings;
}

Result<SlurmSettings> ask_slurm_settings(std::chrono::seconds patience) {
    TLC_TRY_ASSIGN(text, run_slurm({"scontrol", "show", "config"}, patience));
    return parse_slurm_settings(text);
}

Controllers::Controllers(const SlurmSettings& settings) {
    for (const auto& name : settings.controllers) {
        addrinfo wanted{};
        wanted.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        const auto port = std::to_string(settings.controller_port);
        if (::getaddrinfo(name.c_str(), port.c_str(), &wanted, &found) != 0) continue;
        for (auto* at = found; at != nullptr; at = at->ai_next)
            addresses_.emplace_back(reinterpret_cast<const char*>(at->ai_addr), at->ai_addrlen);
        ::freeaddrinfo(found);
    }
}

bool Controllers::reachable(std::chrono::milliseconds patience) const {
    std::vector<Fd> sockets;
    std::vector<pollfd> waiting;
    for (const auto& address : addresses_) {
        const auto* where = reinterpret_cast<const sockaddr*>(address.data());
        Fd fd(::socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd) continue;
        if (::connect(fd.get(), where, static_cast<socklen_t>(address.size())) == 0 || errno == ECONNREFUSED)
            return true;
        if (errno != EINPROGRESS) continue;
        waiting.push_back({fd.get(), POLLOUT, 0});
        sockets.push_back(std::move(fd));
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!waiting.empty()) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0 || ::poll(waiting.data(), waiting.size(), static_cast<int>(left.count())) == 0)
            return false;
        for (auto& one : waiting) {
            if (one.revents == 0) continue;
            int error = 0;
            socklen_t length = sizeof error;
            ::getsockopt(one.fd, SOL_SOCKET, SO_ERROR, &error, &length);
            if (error == 0 || error == ECONNREFUSED) return true;
            one.fd = -1; // poll leaves it out
        }
        if (std::all_of(waiting.begin(), waiting.end(), [](const pollfd& one) { return one.fd < 0; }))
            return false;
    }
    return false;
}

} // namespace tlc
