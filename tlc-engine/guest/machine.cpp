// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>

#include <guest/machine.hpp>
#include <guest/module_list.hpp>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace tlc::guest {

Status mount_at(const std::string& what, const std::filesystem::path& where, const char* type,
                unsigned long flags, const char* options) {
    std::error_code ignored;
    std::filesystem::create_directories(where, ignored);
    if (::mount(what.c_str(), where.c_str(), type, flags, options) != 0)
        return fail_errno(errno, fmt::format("mounting {} at {}", what, where.string()));
    return {};
}

Status mount_early() {
    TLC_TRY(mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"));
    TLC_TRY(mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC));
    TLC_TRY(mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC));
    for (int fd = 0; fd >= 0 && fd <= 2;)
        fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    return {};
}

Status load_modules(const std::filesystem::path& list) {
    TLC_TRY_ASSIGN(text, read_text(list));
    for (const auto& path : parse_module_list(text)) {
        TLC_TRY_ASSIGN(file, open_file(path, O_RDONLY));
        if (::syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST)
            return fail_errno(errno, "loading the kernel module " + path +
                                         " (kernel and initramfs must be of the same build)");
    }
    return {};
}

Status mount_late() {
    TLC_TRY(mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"));
    TLC_TRY(mount_at("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
    TLC_TRY(mount_at("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"));
    if (auto queue = mount_at("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC); !queue)
        say_on_console(queue.error().message);
    const char* links[][2] = {{"/proc/self/fd", "/dev/fd"},
                              {"/proc/self/fd/0", "/dev/stdin"},
                              {"/proc/self/fd/1", "/dev/stdout"},
                              {"/proc/self/fd/2", "/dev/stderr"}};
    for (auto [target, name] : links)
        if (::symlink(target, name) != 0 && errno != EEXIST)
            return fail_errno(errno, std::string("making ") + name);
    if (::mkdir("/run/lock", 0777) == 0) (void)::chmod("/run/lock", 01777);
    return {};
}

Status set_up_network(const std::string& hostname) {
    if (::sethostname(hostname.c_str(), hostname.size()) != 0)
        return fail_errno(errno, "setting the host name");
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
        return fail_errno(errno, "asking for the loopback interface");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
        return fail_errno(errno, "starting the loopback interface");
    return {};
}

void say_on_console(std::string_view text) {
    auto console = open_file("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK);
    const std::string line = fmt::format("tlc-guest: {}\n", text);
    if (console) (void)write_all(console->get(), std::as_bytes(std::span(line)));
}

void power_off() {
    ::sync();
    ::reboot(RB_POWER_OFF);
    say_on_console("the power cannot be switched off");
    for (;;)
        ::pause();
}

} // namespace tlc::guest
