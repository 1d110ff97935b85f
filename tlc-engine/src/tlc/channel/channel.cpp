// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/channel/channel.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>

namespace tlc {

namespace {

constexpr size_t most_descriptors = 4; // more than any message carries, so that too many are seen

tl::unexpected<Error> gone() { return fail("QEMU has closed the channel: it has ended or given up"); }

// One sendmsg; the descriptors go with the first byte.
ssize_t send_part(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors) {
    alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))] = {};
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!descriptors.empty()) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }
    return ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void take_descriptors(msghdr& header, std::vector<Fd>& into) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            into.emplace_back(fd);
        }
    }
}

} // namespace

Status Channel::wait_for(short events, Deadline deadline, std::string_view step) {
    if (!socket_) return fail("the channel to QEMU is closed");
    for (;;) {
        const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd entry{socket_.get(), events, 0};
        const int n = ::poll(&entry, 1, static_cast<int>(std::max<Milliseconds::rep>(left.count(), 0)));
        if (n > 0) return {};
        if (n < 0 && errno != EINTR) return fail_errno(errno, "poll of the channel to QEMU");
        if (n == 0) return fail("QEMU did not answer in time ({})", step);
    }
}

Status Channel::send(const Message& message, Milliseconds limit, std::span<const int> descriptors) {
    const Deadline deadline = std::chrono::steady_clock::now() + limit;
    const MessageType type = message_type(message);
    if (descriptors.size() != descriptors_of(type))
        return fail("{} carries {} descriptors, not {}", message_name(type), descriptors_of(type),
                    descriptors.size());
    TLC_TRY_ASSIGN(frame, encode(message));
    for (std::span<const std::byte> rest = frame; !rest.empty();) {
        TLC_TRY(wait_for(POLLOUT, deadline, fmt::format("sending {}", message_name(type))));
        const ssize_t n = send_part(socket_.get(), rest, descriptors);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return gone();
        if (n < 0) return fail_errno(errno, fmt::format("cannot send {} to QEMU", message_name(type)));
        rest = rest.subspan(static_cast<size_t>(n));
        descriptors = {};
    }
    return {};
}

Status Channel::fill(std::span<std::byte> to, std::vector<Fd>& descriptors, Deadline deadline) {
    while (!to.empty()) {
        TLC_TRY(wait_for(POLLIN, deadline, "waiting for its next message"));
        alignas(cmsghdr) char control[CMSG_SPACE(most_descriptors * sizeof(int))] = {};
        iovec part{to.data(), to.size()};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        const ssize_t n = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0 && errno != ECONNRESET) return fail_errno(errno, "cannot receive from QEMU");
        if (n <= 0) return gone();
        take_descriptors(header, descriptors);
        if ((header.msg_flags & MSG_CTRUNC) != 0 || descriptors.size() > most_descriptors)
            return broken("more descriptors than any message carries");
        to = to.subspan(static_cast<size_t>(n));
    }
    return {};
}

Result<Received> Channel::receive(Milliseconds limit) {
    const Deadline deadline = std::chrono::steady_clock::now() + limit;
    std::vector<Fd> descriptors;
    std::array<std::byte, frame_header_size> head{};
    TLC_TRY(fill(head, descriptors, deadline));
    const auto header = decode_header(head);
    if (!header) return broken(header.error().message);
    std::vector<std::byte> payload(header->payload_length);
    TLC_TRY(fill(payload, descriptors, deadline));
    auto message = decode_payload(header->type, payload);
    if (!message) return broken(message.error().message);
    if (const auto* error = std::get_if<ErrorMessage>(&*message)) return fail("QEMU: {}", error->text);
    if (descriptors.size() != descriptors_of(header->type))
        return broken(fmt::format("{} with {} descriptors", message_name(header->type), descriptors.size()));
    return Received{std::move(*message), std::move(descriptors)};
}

void Channel::abort(std::string_view reason) {
    if (!socket_) return;
    if (const auto frame = encode(ErrorMessage{std::string(reason)}))
        if (send_part(socket_.get(), *frame, {}) < 0) {
            // The peer is gone or does not read: closing tells it the same.
        }
    socket_.reset();
}

void Channel::hang_up() const { ::shutdown(socket_.get(), SHUT_RDWR); }

tl::unexpected<Error> Channel::broken(std::string_view what) {
    abort(what);
    return fail(ErrorKind::incompatible,
                "broken channel to QEMU: {}; is this QEMU built with the patches of this release?", what);
}

} // namespace tlc
