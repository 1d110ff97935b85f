// SPDX-License-Identifier: GPL-2.0-or-later
// The VM's make: everything the guest can see, and where its host ends lie. The same Machine (but for paths)
// must be used to restore a checkpoint as was used to take it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

// The files of the VM that are checkpointed with it, all in one directory, at its first start.
struct MachineFiles {
    static constexpr const char* root = "root.qcow2";
    static constexpr const char* work = "work.img";
    static constexpr const char* standard_output = "stdout";
    static constexpr const char* standard_error = "stderr";
    static constexpr const char* control = "control";
};

struct Boot {
    std::filesystem::path kernel;    // an ELF vmlinux with a PVH entry
    std::filesystem::path initramfs; // with the job appended
    std::string command_line;
};

struct Machine {
    std::filesystem::path qemu;
    std::vector<std::filesystem::path> firmware;
    std::string accelerator; // "kvm" or "tcg"
    std::string type;        // "pc-q35-10.0"
    std::string cpu;         // "host", "max" or a named model
    unsigned vcpus = 1;
    uint64_t memory_bytes = 0;
    std::filesystem::path files; // directory with the images and the MachineFiles
    std::string root = MachineFiles::root;
    std::string work = MachineFiles::work; // names of the drives' images there; ".img" is raw, all else qcow2
    std::filesystem::path sockets;         // private directory for qmp.sock, engine.sock and command.sock
    std::filesystem::path console;         // kernel messages are appended here
    std::optional<Boot> boot;              // nothing: wait for a checkpoint to be loaded
    // From a site's domain template, see domain.hpp: QEMU's arguments for all but the host ends, the
    // accelerator and, unless they name one, the processor. Empty: ours.
    std::vector<std::string> platform;
    int userfaultfd_device = -1; // inherited /dev/userfaultfd, reached as machine_userfaultfd
    int kvm_device = -1;         // inherited /dev/kvm
};

// QEMU's name for the inherited userfaultfd device.
inline constexpr const char* machine_userfaultfd = "/dev/fdset/1";

// The whole command line, argv[0] first.
std::vector<std::string> qemu_command_line(const Machine& machine);

} // namespace tlc
