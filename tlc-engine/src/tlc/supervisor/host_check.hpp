// SPDX-License-Identifier: GPL-2.0-or-later
// Whether this host can run the VM that a checkpoint is of. A manifest's `job` holds "host", an object with
// the "cpu_model" and "cpu_flags" of where it was taken.
#pragma once

#include <tlc/catalog/manifest.hpp>
#include <tlc/config/config.hpp>
#include <tlc/vm/host_cpu.hpp>

namespace tlc {

// What a manifest notes of this host; an empty object if the processor does not tell.
nlohmann::json describe_host();

// ErrorKind::incompatible with what is missing here: the guest image, the accelerator, flags of the
// processor.
Status check_host(const Manifest& manifest, int kvm_fd);

// The processor's part: only a guest that sees the host's own processor depends on it.
Status check_cpu(const Manifest& manifest, const HostCpu& here);

// The same for whoever has no QEMU running yet: its machine type, too.
Status check_host_and_qemu(const Manifest& manifest, const SiteConfig& config, int kvm_fd);

} // namespace tlc
