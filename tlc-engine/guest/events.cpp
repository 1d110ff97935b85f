// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/events.hpp>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

namespace tlc::guest {
namespace {

std::string line(const nlohmann::ordered_json& object) {
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace

std::string booted_event() { return line({{"event", "booted"}}); }
std::string started_event(pid_t pid) { return line({{"event", "started"}, {"pid", pid}}); }
std::string heartbeat_event(std::chrono::seconds since_start) {
    return line({{"event", "heartbeat"}, {"seconds", since_start.count()}});
}
std::string exit_event(int wait_status) {
    if (WIFSIGNALED(wait_status)) return line({{"event", "exit"}, {"signal", WTERMSIG(wait_status)}});
    return line({{"event", "exit"}, {"code", WEXITSTATUS(wait_status)}});
}
std::string error_event(std::string_view message) {
    return line({{"event", "error"}, {"message", std::string(message)}});
}

} // namespace tlc::guest
