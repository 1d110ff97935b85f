// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/vm/host_cpu.hpp>

#include <sstream>

namespace tlc {
namespace {

// What the line "<name>\t: <value>" has for a value; the first such line counts.
std::string value_of(std::string_view text, std::string_view name) {
    for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
        if (at != 0 && text[at - 1] != '\n') continue;
        const auto line = text.substr(at, text.find('\n', at) - at);
        const auto colon = line.find(": ");
        const auto between =
            line.substr(name.size(), colon == std::string_view::npos ? 0 : colon - name.size());
        if (colon != std::string_view::npos && between.find_first_not_of("\t ") == std::string_view::npos)
            return std::string(line.substr(colon + 2));
    }
    return {};
}

} // namespace

HostCpu parse_host_cpu(std::string_view cpuinfo) {
    HostCpu cpu{value_of(cpuinfo, "model name"), {}};
    std::istringstream flags(value_of(cpuinfo, "flags"));
    for (std::string flag; flags >> flag;)
        cpu.flags.insert(flag);
    return cpu;
}

Result<HostCpu> read_host_cpu() {
    TLC_TRY_ASSIGN(text, read_text("/proc/cpuinfo"));
    return parse_host_cpu(text);
}

std::string missing_flags(const HostCpu& cpu, std::string_view needed) {
    std::istringstream flags{std::string(needed)};
    std::string missing;
    for (std::string flag; flags >> flag;)
        if (!cpu.flags.contains(flag)) missing += (missing.empty() ? "" : " ") + flag;
    return missing;
}

} // namespace tlc
