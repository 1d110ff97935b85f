// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>

#include <guest/devices.hpp>

#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

namespace tlc::guest {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    return text;
}

// The entry of a /sys directory whose attribute has this value.
std::optional<std::string> entry_with(const fs::path& directory, const char* attribute,
                                      std::string_view value) {
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(directory, gone)) {
        auto text = read_text(entry.path() / attribute);
        if (text && trimmed(*text) == value) return entry.path().filename().string();
    }
    return {};
}

// The kernel finds devices while we run already.
std::optional<std::string> wait_for(const std::function<std::optional<std::string>()>& look) {
    const auto end = std::chrono::steady_clock::now() + 15s;
    for (;;) {
        if (auto found = look()) return found;
        if (std::chrono::steady_clock::now() > end) return {};
        std::this_thread::sleep_for(5ms);
    }
}

Result<Fd> open_port(const char* name, int flags) {
    auto found = wait_for([&] { return entry_with("/sys/class/virtio-ports", "name", name); });
    if (!found) return fail("the virtual machine has no port named '{}'", name);
    return open_file("/dev/" + *found, flags | O_NOCTTY);
}

} // namespace

Result<std::string> find_disk(std::string_view serial) {
    auto found = wait_for([&] { return entry_with("/sys/block", "serial", serial); });
    if (!found) return fail("the virtual machine has no disk with the serial '{}'", serial);
    return "/dev/" + *found;
}

Status open_ports(Ports& ports) {
    TLC_TRY_ASSIGN(control, open_port("tlc.control", O_WRONLY));
    ports.control = std::move(control);
    TLC_TRY_ASSIGN(out, open_port("tlc.stdout", O_WRONLY | O_NONBLOCK));
    ports.out = std::move(out);
    TLC_TRY_ASSIGN(err, open_port("tlc.stderr", O_WRONLY | O_NONBLOCK));
    ports.err = std::move(err);
    TLC_TRY_ASSIGN(command, open_port("tlc.command", O_RDONLY | O_NONBLOCK));
    ports.command = std::move(command);
    return {};
}

} // namespace tlc::guest
