// SPDX-License-Identifier: GPL-2.0-or-later
// Channel: one connection with a QEMU process; whole messages, each with exactly the descriptors its type
// carries. Owns the socket; closing it (destructor, abort) ends the save or load in QEMU. Every call has a
// deadline. An ERROR from the peer, a peer that is gone and a broken frame are Errors; after a broken frame
// the peer was sent ERROR and the channel is closed. One thread at a time; fd() may be polled by others.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/channel/messages.hpp>

#include <sys/types.h>

#include <chrono>

namespace tlc {

struct Received {
    Message message;
    std::vector<Fd> descriptors;
};

template <typename M>
struct ReceivedAs {
    M message;
    std::vector<Fd> descriptors;
};

class Channel {
  public:
    using Milliseconds = std::chrono::milliseconds;

    // Takes a connected stream socket. peer_pid: the peer as this process' pid namespace sees it.
    Channel(Fd socket, pid_t peer_pid) : socket_(std::move(socket)), peer_pid_(peer_pid) {}

    // The descriptors stay the caller's.
    Status send(const Message& message, Milliseconds limit, std::span<const int> descriptors = {});

    // The next message, whatever it is (except ERROR).
    Result<Received> receive(Milliseconds limit);

    // The next message, which must be an M; another one is a broken channel.
    template <typename M>
    Result<ReceivedAs<M>> expect(Milliseconds limit) {
        TLC_TRY_ASSIGN(received, receive(limit));
        if (auto* message = std::get_if<M>(&received.message))
            return ReceivedAs<M>{std::move(*message), std::move(received.descriptors)};
        return broken(fmt::format("{} came instead of {}", message_name(message_type(received.message)),
                                  message_name(M::type)));
    }

    // Tells the peer why (ERROR, as far as the socket takes it without waiting) and closes.
    void abort(std::string_view reason);

    // Ends the connection for the peer at once; the descriptor stays until the destructor. From any thread.
    void hang_up() const;

    int fd() const { return socket_.get(); } // hang-up: poll for POLLRDHUP
    pid_t peer_pid() const { return peer_pid_; }

  private:
    using Deadline = std::chrono::steady_clock::time_point;
    tl::unexpected<Error> broken(std::string_view what);
    Status wait_for(short events, Deadline deadline, std::string_view step);
    Status fill(std::span<std::byte> to, std::vector<Fd>& descriptors, Deadline deadline);

    Fd socket_;
    pid_t peer_pid_ = -1;
};

} // namespace tlc
