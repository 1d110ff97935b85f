// SPDX-License-Identifier: GPL-2.0-or-later
// The host's processor, as far as a guest with `-cpu host` depends on it: such a guest can be restored only
// where every flag is there that it may have seen. Plain values; the functions have no state.
#pragma once

#include <tlc/base/result.hpp>

#include <set>
#include <string>
#include <string_view>

namespace tlc {

struct HostCpu {
    std::string model;
    std::set<std::string> flags;
};

// From the text of /proc/cpuinfo: its first processor.
HostCpu parse_host_cpu(std::string_view cpuinfo);
Result<HostCpu> read_host_cpu();

// Flags of `needed`, a list with spaces between, that the processor lacks, in the same form.
std::string missing_flags(const HostCpu& cpu, std::string_view needed);

} // namespace tlc
