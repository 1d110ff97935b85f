// SPDX-License-Identifier: GPL-2.0-or-later
// Has libvirt's QEMU driver, in this process, make a domain into QEMU's arguments. No daemon is needed and no
// VM started; QEMU is asked once what it can do.
#pragma once

#include <tlc/base/result.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace tlc {

// Without QEMU's name, and without what is libvirt's own (its monitor, its secret) or tlc-run's to decide
// (the accelerator; the processor, unless `keep_cpu`). `root` is a private, empty directory for libvirt.
Result<std::vector<std::string>> qemu_arguments(const std::string& domain_xml, bool keep_cpu,
                                                const std::filesystem::path& root);

} // namespace tlc
