// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's machine as a whole: first mounts, kernel modules, host name, power. Used by PID 1 only.
#pragma once

#include <tlc/base/result.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace tlc::guest {

// mount(2) that makes the directory first. The error names what and where.
Status mount_at(const std::string& what, const std::filesystem::path& where, const char* type,
                unsigned long flags = 0, const char* options = nullptr);

// /dev, /proc and /sys of the initramfs; descriptors 0 to 2 are open afterwards.
Status mount_early();
Status load_modules(const std::filesystem::path& list);

// /dev/pts, /dev/shm, /dev/mqueue, /run and the links /dev/fd, stdin, stdout, stderr, in the job's root.
Status mount_late();
Status set_up_network(const std::string& hostname);

// A line on the console, for what cannot be said through the control port.
void say_on_console(std::string_view text);

[[noreturn]] void power_off();

} // namespace tlc::guest
