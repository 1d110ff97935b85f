// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <guest/pump.hpp>
#include <sys/socket.h>

#include <fcntl.h>
#include <poll.h>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>

using tlc::Fd;
using tlc::guest::Pump;

namespace {

std::pair<Fd, Fd> make_pipe(int flags) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::fcntl(ends[0], F_SETFL, flags);
    return {Fd(ends[0]), Fd(ends[1])};
}

} // namespace

// A fast writer, a slow reader behind a small pipe, short and odd writes: every byte once, in order.
TEST(GuestPump, CarriesEveryByteThroughBackPressure) {
    auto [source_read, source_write] = make_pipe(O_NONBLOCK);
    auto [port_read, port_write] = make_pipe(0);
    ::fcntl(port_write.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(port_write.get(), F_SETPIPE_SZ, 4096);
    std::string sent(3'000'001, ' ');
    std::mt19937 random(7);
    for (char& byte : sent)
        byte = static_cast<char>(random());

    std::thread writer([&, fd = std::move(source_write)] {
        size_t done = 0;
        std::mt19937 sizes(8);
        while (done < sent.size()) {
            const ssize_t n = ::write(fd.get(), sent.data() + done,
                                      std::min<size_t>(sizes() % 9000 + 1, sent.size() - done));
            ASSERT_GT(n, 0);
            done += static_cast<size_t>(n);
        }
    });
    std::string got;
    std::thread reader([&] {
        char part[3001];
        for (ssize_t n; (n = ::read(port_read.get(), part, sizeof part)) > 0;)
            got.append(part, static_cast<size_t>(n));
    });
    Pump pump(std::move(source_read), port_write.get());
    while (!pump.finished()) {
        pollfd fds[2] = {{pump.read_fd(), POLLIN, 0}, {pump.write_fd(), POLLOUT, 0}};
        ASSERT_GT(::poll(fds, 2, 10'000), 0);
        if (fds[0].revents) pump.read_some();
        pump.write_some();
    }
    port_write.reset();
    writer.join();
    reader.join();
    EXPECT_TRUE(got == sent);
}

TEST(GuestPump, ReadsNothingWhileThePortIsFull) {
    auto [source_read, source_write] = make_pipe(O_NONBLOCK);
    auto [port_read, port_write] = make_pipe(0);
    ::fcntl(port_write.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(port_write.get(), F_SETPIPE_SZ, 4096);
    const std::string block(32768, 'x');
    ASSERT_EQ(::write(source_write.get(), block.data(), block.size()), 32768);
    Pump pump(std::move(source_read), port_write.get());
    pump.read_some();
    pump.write_some();
    EXPECT_EQ(pump.read_fd(), -1);
    EXPECT_EQ(pump.write_fd(), port_write.get());
    EXPECT_FALSE(pump.finished());
}

TEST(GuestPump, EndsWithAWriterThatCannotBeGotRidOf) {
    auto [source_read, source_write] = make_pipe(O_NONBLOCK);
    auto [port_read, port_write] = make_pipe(0);
    ASSERT_EQ(::write(source_write.get(), "abc", 3), 3);
    Pump pump(std::move(source_read), port_write.get());
    pump.end_source_when_empty();
    for (int i = 0; i < 4 && !pump.finished(); ++i) {
        pump.read_some();
        pump.write_some();
    }
    EXPECT_TRUE(pump.finished());
    char got[8];
    EXPECT_EQ(::read(port_read.get(), got, sizeof got), 3);
}
