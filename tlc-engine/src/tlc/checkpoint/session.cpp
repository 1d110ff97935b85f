// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/private_directory.hpp>
#include <tlc/checkpoint/session.hpp>
#include <tlc/vm/qmp.hpp>

namespace tlc {
namespace {

constexpr auto patience = std::chrono::seconds(10);

} // namespace

Result<EngineSession> open_session(const std::filesystem::path& qmp_socket, ChannelMode mode,
                                   const std::string& userfaultfd) {
    TLC_TRY_ASSIGN(qmp, Qmp::connect(qmp_socket, patience));
    // Needed only until QEMU has connected.
    TLC_TRY_ASSIGN(directory, PrivateDirectory::make());
    TLC_TRY_ASSIGN(server, ChannelServer::listen(directory.path()));
    nlohmann::json arguments{{"channel", server.path().string()}};
    if (!userfaultfd.empty()) arguments["userfaultfd"] = userfaultfd;
    TLC_TRY(qmp.execute(mode == ChannelMode::save ? "x-tlc-save" : "x-tlc-load", arguments));
    TLC_TRY_ASSIGN(channel, server.accept(patience));
    TLC_TRY_ASSIGN(hello, channel.expect<Hello>(patience));
    if (hello.message.mode != mode) return fail("QEMU opened the channel for something else");
    return EngineSession{std::move(channel), std::move(static_cast<MachineDescription&>(hello.message))};
}

} // namespace tlc
