// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/channel/server.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace tlc {

namespace {
std::atomic<unsigned> serial{0};
}

Result<ChannelServer> ChannelServer::listen(const std::filesystem::path& directory) {
    const auto path = directory / fmt::format("channel-{}-{}.sock", ::getpid(), serial++);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path)
        return fail("{} is too long for a Unix socket ({} bytes): use a directory with a shorter path",
                    path.string(), sizeof address.sun_path - 1);
    std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno(errno, "cannot make a Unix socket");
    // Before bind, so that the name never exists with a wider mode; umask is the whole process' and not
    // touched.
    if (::fchmod(socket.get(), 0600) < 0) return fail_errno(errno, "cannot set the mode of a Unix socket");
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return fail_errno(errno, fmt::format("cannot make the socket {}", path.string()));
    ChannelServer server(std::move(socket), path);
    if (::listen(server.socket_.get(), 4) < 0)
        return fail_errno(errno, fmt::format("cannot listen on {}", path.string()));
    return server;
}

ChannelServer::ChannelServer(ChannelServer&& other) noexcept
    : socket_(std::move(other.socket_)), path_(std::exchange(other.path_, {})) {}

ChannelServer::~ChannelServer() { unlink(); }

void ChannelServer::unlink() {
    if (!path_.empty()) ::unlink(path_.c_str());
    path_.clear();
}

Result<Channel> ChannelServer::accept(std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd entry{socket_.get(), POLLIN, 0};
        const int n =
            ::poll(&entry, 1, static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0)));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "poll of the channel's socket");
        if (n == 0) return fail("QEMU did not connect to {} in time", path_.string());
        Fd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (!connection) return fail_errno(errno, fmt::format("accept on {}", path_.string()));
        ucred peer{};
        socklen_t size = sizeof peer;
        if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
            return fail_errno(errno, "cannot tell who connected to the channel");
        if (peer.uid != ::geteuid()) continue;
        unlink();
        return Channel(std::move(connection), peer.pid);
    }
}

} // namespace tlc
