// SPDX-License-Identifier: GPL-2.0-or-later
// The way into a QEMU: the channel that it is told to open to us through its monitor. Not thread-safe.
#pragma once

#include <tlc/channel/server.hpp>

#include <filesystem>
#include <string>

namespace tlc {

struct EngineSession {
    Channel channel;
    MachineDescription machine;
};

// Connects to the monitor, makes QEMU open a channel with x-tlc-save or x-tlc-load, and takes its HELLO.
// `userfaultfd` is a device path in QEMU's terms, or empty. Effect on failure: the VM goes on as it was.
Result<EngineSession> open_session(const std::filesystem::path& qmp_socket, ChannelMode mode,
                                   const std::string& userfaultfd);

} // namespace tlc
