// SPDX-License-Identifier: GPL-2.0-or-later
// Chooses what runs the guest's code. KVM is taken only where it really runs guests: the device opens and the
// processor has VT-x or AMD-V; without them KVM may emulate instruction by instruction, slower than TCG.
// Thread-safe.
#pragma once

#include <tlc/base/result.hpp>

#include <string>

namespace tlc {

struct AcceleratorChoice {
    std::string name;   // "kvm" or "tcg"
    std::string reason; // for the job's log
};

// `wish` is auto, kvm or tcg; asking for kvm where it cannot run is an error (incompatible) with the reason.
// `kvm_fd` is an inherited descriptor of /dev/kvm, or -1.
Result<AcceleratorChoice> choose_accelerator(const std::string& wish, int kvm_fd);

} // namespace tlc
