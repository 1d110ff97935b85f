// SPDX-License-Identifier: GPL-2.0-or-later
// tlc-guest: /init of the initramfs and PID 1 of the virtual machine for the whole of its life.
#include <tlc/base/files.hpp>

#include <guest/devices.hpp>
#include <guest/events.hpp>
#include <guest/machine.hpp>
#include <guest/root.hpp>
#include <guest/start.hpp>
#include <guest/supervise.hpp>
#include <guest/work.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <unistd.h>

namespace tlc::guest {
namespace {

Status run_job(Ports& ports) {
    TLC_TRY(mount_early());
    TLC_TRY(load_modules("/modules.list"));
    TLC_TRY(open_ports(ports));
    tell_host(ports, booted_event());
    // Both are gone from memory's file system after the switch to the root disk.
    TLC_TRY_ASSIGN(text, read_text("/job/job.json"));
    TLC_TRY_ASSIGN(script, read_text("/job/script"));
    TLC_TRY_ASSIGN(job, parse_job(text));
    TLC_TRY_ASSIGN(root_disk, find_disk("tlc-root"));
    TLC_TRY_ASSIGN(work_disk, find_disk("tlc-work"));
    TLC_TRY(switch_to_root(root_disk));
    TLC_TRY(mount_late());
    TLC_TRY(set_up_network(job.hostname));
    TLC_TRY(prepare_root(job));
    TLC_TRY(mount_work(work_disk, job));
    TLC_TRY_ASSIGN(program, install_script(job, script));
    auto started = start_job(job, program);
    if (!started) {
        release_disks(job);
        return tl::unexpected<Error>(started.error());
    }
    tell_host(ports, started_event(started->pid));
    const int status = supervise(std::move(*started), ports);
    // Closing a port is answered by the host after the bytes written before it.
    ports.out.reset();
    ports.err.reset();
    release_disks(job);
    tell_host(ports, exit_event(status));
    return {};
}

} // namespace
} // namespace tlc::guest

int main() {
    using namespace tlc::guest;
    if (::getpid() != 1) {
        std::fputs("tlc-guest: this program is /init of a job's virtual machine, not a command\n", stderr);
        return 2;
    }
    sigset_t all;
    sigfillset(&all);
    (void)::sigprocmask(SIG_SETMASK, &all, nullptr);
    Ports ports;
    std::string problem;
    try {
        if (auto status = run_job(ports); !status) problem = status.error().message;
    } catch (const std::exception& broken) {
        problem = fmt::format("internal error: {}", broken.what());
    }
    if (!problem.empty()) {
        say_on_console(problem);
        tell_host(ports, error_event(problem));
    }
    ports = {};
    power_off();
}
