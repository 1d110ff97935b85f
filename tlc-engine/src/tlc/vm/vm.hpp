// SPDX-License-Identifier: GPL-2.0-or-later
// One QEMU process, started directly as a child: it stays in the job's cgroup and dies with its Vm object.
// Not thread-safe.
#pragma once

#include <tlc/base/process.hpp>
#include <tlc/vm/machine.hpp>
#include <tlc/vm/qmp.hpp>

#include <csignal>
#include <memory>

namespace tlc {

class Vm {
  public:
    // Starts QEMU and waits for its monitor. Effect on failure: no process is left; the error ends with the
    // last lines QEMU printed. `log` receives QEMU's own messages.
    static Result<std::unique_ptr<Vm>> start(const Machine& machine, const std::filesystem::path& log);

    pid_t pid() const { return child_.pid(); }
    uint64_t resident_bytes() const { return child_.resident(); }
    // How QEMU ended, if it has.
    std::optional<ExitStatus> poll() { return child_.poll(); }
    Qmp& qmp() { return qmp_; }
    // The monitor left free for the engine.
    std::filesystem::path engine_socket() const { return sockets_ / "engine.sock"; }
    // Sends a line to the guest's agent. Lines may get lost; an error only says the port cannot be reached.
    Status send_command(const std::string& line);
    // poll() tells of its end.
    void terminate() { child_.signal(SIGKILL); }
    void kill() { child_.kill_and_reap(); }

  private:
    Vm(Child child, Qmp qmp, std::filesystem::path sockets)
        : child_(std::move(child)), qmp_(std::move(qmp)), sockets_(std::move(sockets)) {}

    Child child_;
    Qmp qmp_;
    std::filesystem::path sockets_;
    Fd command_;
};

} // namespace tlc
