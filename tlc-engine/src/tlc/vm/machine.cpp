// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/vm/machine.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace tlc {
namespace {

// QEMU's option parser ends a value at a comma unless it is doubled.
std::string value(const std::string& text) {
    std::string out;
    for (const char c : text)
        out.append(c == ',' ? 2 : 1, c);
    return out;
}

// QEMU makes the devices that libvirt describes (in JSON) after ours, at addresses libvirt has chosen, from
// slot 1 on: ours then have to stay out of their way.
std::string pci_address(const Machine& m, unsigned number) {
    return m.platform.empty() ? "" : fmt::format(",bus=pcie.0,addr={:#x}", 0x18 + number);
}

// The node has the image's name, so that the image in use can be asked for later.
void add_disk(std::vector<std::string>& argv, const std::string& name, const std::filesystem::path& path,
              const std::string& address) {
    // Page cache, not O_DIRECT: guest buffers change while they are written, which breaks Btrfs checksums.
    argv.insert(
        argv.end(),
        {"-drive", fmt::format("if=none,id={},node-name={},format={},cache=writeback,discard=unmap,file={}",
                               name, path.filename().string(), path.extension() == ".img" ? "raw" : "qcow2",
                               value(path.string()))});
    // The guest never learns of an error of the host's: the VM waits, and the request is tried again.
    argv.insert(argv.end(),
                {"-device", fmt::format("virtio-blk-pci,drive={0},serial=tlc-{0},werror=stop,rerror=stop{1}",
                                        name, address)});
}

void add_port(std::vector<std::string>& argv, unsigned number, const std::string& name) {
    argv.insert(argv.end(), {"-device", fmt::format("virtserialport,bus=ports.0,nr={},chardev={},name=tlc.{}",
                                                    number, name, name)});
}

// All that a domain template may describe, as it is without one.
std::vector<std::string> own_platform(const Machine& m) {
    return {"-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            "-machine",
            m.type + ",graphics=off,vmport=off",
            "-smp",
            fmt::format("{}", m.vcpus),
            "-m",
            fmt::format("{}M", m.memory_bytes >> 20),
            "-rtc",
            "base=utc,clock=host"};
}

// Of a named model QEMU otherwise leaves out, with a warning, what the host's processor lacks; a guest that
// has seen it elsewhere would fail. What TCG lacks it lacks everywhere.
std::string whole_cpu(const Machine& m) {
    const bool named = m.cpu != "host" && m.cpu != "max";
    return named && m.accelerator == "kvm" ? m.cpu + ",enforce" : m.cpu;
}

} // namespace

std::vector<std::string> qemu_command_line(const Machine& m) {
    std::vector<std::string> argv{m.qemu.string()};
    const auto platform = m.platform.empty() ? own_platform(m) : m.platform;
    argv.insert(argv.end(), platform.begin(), platform.end());
    for (const auto& directory : m.firmware)
        argv.insert(argv.end(), {"-L", directory.string()});
    std::string accelerator = m.accelerator;
    if (accelerator == "tcg") accelerator += ",thread=multi,tb-size=256";
    if (m.kvm_device >= 0 && accelerator == "kvm") {
        argv.insert(argv.end(), {"-add-fd", fmt::format("fd={},set=2", m.kvm_device)});
        accelerator += ",device=/dev/fdset/2";
    }
    argv.insert(argv.end(), {"-accel", accelerator});
    if (std::find(platform.begin(), platform.end(), "-cpu") == platform.end())
        argv.insert(argv.end(), {"-cpu", whole_cpu(m)});
    if (m.userfaultfd_device >= 0)
        argv.insert(argv.end(), {"-add-fd", fmt::format("fd={},set=1", m.userfaultfd_device)});

    for (const auto* name : {"qmp", "engine"})
        argv.insert(argv.end(), {"-qmp", fmt::format("unix:{},server=on,wait=off",
                                                     value((m.sockets / name).string() + ".sock"))});
    argv.insert(argv.end(),
                {"-chardev", fmt::format("file,id=console,append=on,path={}", value(m.console.string())),
                 "-serial", "chardev:console"});

    add_disk(argv, "root", m.files / m.root, pci_address(m, 0));
    add_disk(argv, "work", m.files / m.work, pci_address(m, 1));
    argv.insert(argv.end(), {"-device", "virtio-serial-pci,id=ports" + pci_address(m, 2)});
    unsigned number = 0;
    for (const auto* name :
         {MachineFiles::standard_output, MachineFiles::standard_error, MachineFiles::control}) {
        argv.insert(argv.end(), {"-chardev", fmt::format("file,id={},append=on,path={}", name,
                                                         value((m.files / name).string()))});
        add_port(argv, ++number, name);
    }
    argv.insert(argv.end(), {"-chardev", fmt::format("socket,id=command,server=on,wait=off,path={}",
                                                     value((m.sockets / "command.sock").string()))});
    add_port(argv, ++number, "command");
    argv.insert(argv.end(),
                {"-object", "rng-random,id=entropy,filename=/dev/urandom", "-device",
                 "virtio-rng-pci,rng=entropy" + pci_address(m, 3), "-device", "vmgenid,guid=auto"});

    if (m.boot)
        argv.insert(argv.end(), {"-kernel", m.boot->kernel.string(), "-initrd", m.boot->initramfs.string(),
                                 "-append", m.boot->command_line});
    else
        argv.insert(argv.end(), {"-incoming", "defer"});
    return argv;
}

} // namespace tlc
