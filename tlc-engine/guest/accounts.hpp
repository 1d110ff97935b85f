// SPDX-License-Identifier: GPL-2.0-or-later
// The job's user, groups and host name in the guest's /etc files. Each function takes a file's text and
// returns the new one, the same when nothing has to be added. Pure functions.
#pragma once

#include <guest/job.hpp>

#include <string>

namespace tlc::guest {

// Its line comes first, so that look-ups by name and by id both find it.
std::string with_user(std::string passwd, const Job& job);
// The primary group by its name; further unknown ones as "g<id>".
std::string with_groups(std::string group, const Job& job);
std::string with_host(std::string hosts, const std::string& hostname);

} // namespace tlc::guest
