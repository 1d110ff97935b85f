// SPDX-License-Identifier: GPL-2.0-or-later
// A site's domain XML and what a job decides itself, put together into a domain for libvirt.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <string>

namespace tlc {

// What the template cannot decide.
struct JobDomain {
    std::string qemu;
    std::string machine;
    std::string accelerator; // "kvm" or "tcg"
    unsigned vcpus = 1;
    uint64_t memory_mebibytes = 0;
};

struct MergedDomain {
    std::string xml;
    bool has_cpu = false; // the template names a processor
};

// ErrorKind::usage, naming element and line, for what is not known to survive a checkpoint, or would have no
// effect.
Result<MergedDomain> merge_domain(const std::string& name, const std::string& text, const JobDomain& job);

} // namespace tlc
