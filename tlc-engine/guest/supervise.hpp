// SPDX-License-Identifier: GPL-2.0-or-later
// PID 1 while the job runs: carries its output, delivers signals, reaps, keeps the clock, sends heartbeats.
#pragma once

#include <guest/devices.hpp>
#include <guest/start.hpp>

namespace tlc::guest {

// Returns wait(2)'s status of the job's first process when every process of the job is gone and every byte of
// output is in its port. Processes that outlive the first get some seconds to end by themselves, then
// SIGTERM, then SIGKILL.
int supervise(StartedJob job, Ports& ports);

// One line on the control port; blocks until the host has taken it.
void tell_host(const Ports& ports, const std::string& line);

} // namespace tlc::guest
