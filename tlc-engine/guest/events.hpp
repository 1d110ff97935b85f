// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of the control port (guest to host), one JSON object each, newline included. Pure functions.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

namespace tlc::guest {

std::string booted_event();
std::string started_event(pid_t pid);
std::string heartbeat_event(std::chrono::seconds since_start);
// From wait(2)'s status: {"event":"exit","code":N} or {"event":"exit","signal":N}.
std::string exit_event(int wait_status);
std::string error_event(std::string_view message);

} // namespace tlc::guest
