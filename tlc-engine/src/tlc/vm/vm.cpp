// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/vm/vm.hpp>

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <fcntl.h>

namespace tlc {
namespace {

std::string last_lines(const std::filesystem::path& log) {
    auto text = read_text(log).value_or(std::string{});
    constexpr size_t most = 600;
    if (text.size() > most) text.erase(0, text.size() - most);
    return text.empty() ? "it printed nothing" : "it printed: " + text;
}

} // namespace

Result<std::unique_ptr<Vm>> Vm::start(const Machine& machine, const std::filesystem::path& log) {
    TLC_TRY_ASSIGN(log_file, open_file(log, O_WRONLY | O_CREAT | O_APPEND));
    SpawnOptions options;
    options.stdout_fd = log_file.get();
    options.stderr_fd = log_file.get();
    // Slurm may send TERM to every process of a job; the VM ends when its supervisor says so.
    options.block_termination = true;
    for (const int fd : {machine.userfaultfd_device, machine.kvm_device})
        if (fd >= 0) options.keep.push_back(fd);
    for (const auto* name : {"qmp.sock", "engine.sock", "command.sock"}) {
        std::error_code ignored;
        std::filesystem::remove(machine.sockets / name, ignored);
    }
    // A supervisor that is killed takes its VM with it: nobody else would end that one, and another copy of
    // the job may be begun.
    std::vector<std::string> arguments{"setpriv", "--pdeathsig", "KILL"};
    const auto qemu = qemu_command_line(machine);
    arguments.insert(arguments.end(), qemu.begin(), qemu.end());
    TLC_TRY_ASSIGN(child, spawn(arguments, options));

    // The monitor comes up within tens of milliseconds, unless QEMU refuses its command line.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
        auto qmp = Qmp::connect(machine.sockets / "qmp.sock", std::chrono::milliseconds(200));
        if (qmp) return std::unique_ptr<Vm>(new Vm(std::move(child), std::move(*qmp), machine.sockets));
        if (const auto status = child.poll()) {
            const auto printed = last_lines(log);
            const bool lacks = printed.find("support requested features") != std::string::npos;
            return fail(lacks ? ErrorKind::incompatible : ErrorKind::failed, "QEMU did not start ({}); {}",
                        status->text(), printed);
        }
        if (std::chrono::steady_clock::now() > end)
            return in_context(qmp.error(), fmt::format("QEMU does not answer; {}", last_lines(log)));
    }
}

Status Vm::send_command(const std::string& line) {
    if (!command_) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = (sockets_ / "command.sock").string();
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        command_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (::connect(command_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            const int error = errno;
            command_.reset();
            return fail_errno(error, "cannot reach the guest's command port");
        }
    }
    const std::string text = line + "\n";
    if (::send(command_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
        const int error = errno;
        command_.reset();
        return fail_errno(error, "the guest's command port takes nothing");
    }
    return {};
}

} // namespace tlc
