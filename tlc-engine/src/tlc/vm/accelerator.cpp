// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/vm/accelerator.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>

namespace tlc {
namespace {

// Why KVM cannot be used here, or nothing.
std::optional<std::string> kvm_obstacle(int kvm_fd) {
    if (kvm_fd < 0) {
        const Fd device(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
        if (!device) return fmt::format("/dev/kvm: {}", std::strerror(errno));
    }
    const auto info = read_text("/proc/cpuinfo");
    const auto flags = info ? info->find("\nflags") : std::string::npos;
    if (flags == std::string::npos) return "/proc/cpuinfo does not tell the processor's flags";
    const std::string line = info->substr(flags, info->find('\n', flags + 1) - flags) + " ";
    if (line.find(" vmx ") == std::string::npos && line.find(" svm ") == std::string::npos)
        return "the processor shows neither vmx nor svm";
    return std::nullopt;
}

} // namespace

Result<AcceleratorChoice> choose_accelerator(const std::string& wish, int kvm_fd) {
    if (wish == "tcg") return AcceleratorChoice{"tcg", "asked for by the configuration"};
    if (wish != "auto" && wish != "kvm")
        return fail(ErrorKind::usage, "unknown accelerator \"{}\" (write auto, kvm or tcg)", wish);
    const auto obstacle = kvm_obstacle(kvm_fd);
    if (!obstacle)
        return AcceleratorChoice{"kvm", "/dev/kvm opens and the processor has hardware virtualisation"};
    if (wish == "kvm") return fail(ErrorKind::incompatible, "KVM cannot run guests here: {}", *obstacle);
    return AcceleratorChoice{"tcg", "no KVM here: " + *obstacle};
}

} // namespace tlc
