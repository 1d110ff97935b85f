// SPDX-License-Identifier: GPL-2.0-or-later
// The VM driver "libvirt": a site describes its VMs by a domain XML, which libvirt makes into QEMU's
// arguments (Machine::platform). QEMU is started as with the driver "direct". libvirt is in a program of its
// own. Thread-safe.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/vm/machine.hpp>

namespace tlc {

// Of the machine, its qemu, type, accelerator, vcpus and memory count. `program` is tlc-domain. Takes
// seconds: libvirt asks QEMU what it can do. ErrorKind::usage: the template cannot be used, with the reason.
Result<std::vector<std::string>> platform_from_domain(const std::filesystem::path& program,
                                                      const std::filesystem::path& domain_template,
                                                      const Machine& machine);

// A restored VM must have the devices it was saved with, whatever the template and libvirt's version are by
// then: the arguments are kept with the job. Writing none removes the file; a missing file is none.
Status write_platform(const std::filesystem::path& file, const std::vector<std::string>& platform);
Result<std::vector<std::string>> read_platform(const std::filesystem::path& file);

// The processor that the arguments name, without its flags; empty if they name none.
std::string cpu_of_platform(const std::vector<std::string>& platform);

} // namespace tlc
