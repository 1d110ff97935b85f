// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/vm/qmp.hpp>
#include <tlc/vm/qmp_answer.hpp>

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

namespace tlc {
namespace {

constexpr size_t longest_line = size_t{4} << 20;

Result<Fd> connect_once(const std::filesystem::path& socket) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string& name = socket.native();
    if (name.size() >= sizeof address.sun_path)
        return fail(ErrorKind::usage, "socket path {} is longer than {} characters", name,
                    sizeof address.sun_path - 1);
    name.copy(address.sun_path, name.size());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(errno, "socket");
    // A QEMU that takes no connections would hold up a blocking one for ever.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno(errno, fmt::format("cannot connect to the QMP socket {}", name));
    if (::fcntl(fd.get(), F_SETFL, 0) != 0) return fail_errno(errno, "fcntl");
    return fd;
}

} // namespace

Result<Qmp> Qmp::connect(const std::filesystem::path& socket, std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    auto fd = connect_once(socket);
    while (!fd && fd.error().kind != ErrorKind::usage && Clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        fd = connect_once(socket);
    }
    if (!fd) return tl::unexpected(fd.error());
    Qmp qmp(std::move(*fd));
    auto greeting = qmp.read_object(std::max(deadline, Clock::now() + std::chrono::milliseconds(100)));
    if (!greeting)
        return in_context(greeting.error(), fmt::format("no QMP greeting on {} (a second client has to wait "
                                                        "until the first has gone)",
                                                        socket.string()));
    auto version = qemu_version_in(*greeting);
    if (!version) return in_context(version.error(), fmt::format("{} does not speak QMP", socket.string()));
    qmp.version_ = std::move(*version);
    TLC_TRY(qmp.execute("qmp_capabilities"));
    return qmp;
}

Result<nlohmann::json> Qmp::execute(const std::string& command, nlohmann::json arguments,
                                    std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    nlohmann::json message{{"execute", command}, {"id", ++commands_}};
    if (!arguments.empty()) message["arguments"] = std::move(arguments);
    TLC_TRY(send(message));
    for (;;) {
        auto answer = read_object(deadline);
        if (!answer) return in_context(answer.error(), command);
        // That of an earlier command which was not waited for any longer.
        if (const auto id = answer->find("id"); id != answer->end() && *id != commands_) continue;
        if (auto result = qmp_answer(*answer, command)) return std::move(*result);
    }
}

Status Qmp::send(const nlohmann::json& message) {
    const std::string line = message.dump() + "\n";
    for (size_t done = 0; done < line.size();) {
        const ssize_t n = ::send(fd_.get(), line.data() + done, line.size() - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "QMP connection");
        done += static_cast<size_t>(n);
    }
    return {};
}

Result<nlohmann::json> Qmp::read_object(Clock::time_point deadline) {
    for (;;) {
        if (const auto end = pending_.find('\n'); end != std::string::npos) {
            auto object = parse_qmp_line(std::string_view(pending_).substr(0, end));
            pending_.erase(0, end + 1);
            return object;
        }
        if (pending_.size() > longest_line) return fail("QMP: a line is longer than {} bytes", longest_line);
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd wanted{fd_.get(), POLLIN, 0};
        const int ready = ::poll(&wanted, 1, static_cast<int>(std::max<long long>(0, left.count())));
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) return fail("QMP: no answer in time");
        char buffer[1 << 14];
        const ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "QMP connection");
        if (n == 0) return fail("QMP: QEMU closed the connection");
        pending_.append(buffer, static_cast<size_t>(n));
    }
}

} // namespace tlc
