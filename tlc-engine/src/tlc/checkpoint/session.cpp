// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/session.hpp>
#include <tlc/vm/qmp.hpp>

#include <cerrno>
#include <cstdlib>
#include <unistd.h>

namespace tlc {
namespace {

constexpr auto patience = std::chrono::seconds(10);

// Lives only until QEMU has connected.
class SocketDirectory {
  public:
    SocketDirectory() = default;
    SocketDirectory(const SocketDirectory&) = delete;
    SocketDirectory& operator=(const SocketDirectory&) = delete;
    ~SocketDirectory() {
        if (!path_.empty()) ::rmdir(path_.c_str());
    }
    Status make() {
        std::string name = "/tmp/tlc-channel-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) return fail_errno(errno, "cannot make a directory in /tmp");
        path_ = name;
        return {};
    }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

} // namespace

Result<EngineSession> open_session(const std::filesystem::path& qmp_socket, ChannelMode mode,
                                   const std::string& userfaultfd) {
    TLC_TRY_ASSIGN(qmp, Qmp::connect(qmp_socket, patience));
    SocketDirectory directory;
    TLC_TRY(directory.make());
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
