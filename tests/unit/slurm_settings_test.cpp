// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/slurm/settings.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

namespace {

using namespace tlc;

TEST(SlurmSettings, are_read_from_scontrol) {
    const auto settings = parse_slurm_settings("Configuration data as of 2026-01-01T00:00:00\n"
                                               "KillWait                = 4 sec\n"
                                               "SlurmctldHost[0]        = head(10.0.0.1)\n"
                                               "SlurmctldHost[1]        = spare\n"
                                               "SlurmctldPort           = 6820-6822\n"
                                               "SlurmdTimeout           = 12 sec\n");
    EXPECT_EQ(settings.kill_wait, std::chrono::seconds(4));
    EXPECT_EQ(settings.slurmd_timeout, std::chrono::seconds(12));
    EXPECT_EQ(settings.controllers, (std::vector<std::string>{"10.0.0.1", "spare"}));
    EXPECT_EQ(settings.controller_port, 6820);
}

TEST(SlurmSettings, are_slurm_s_own_where_nothing_is_said) {
    EXPECT_EQ(parse_slurm_settings(""), SlurmSettings{});
    EXPECT_EQ(parse_slurm_settings("KillWait = soon\nSlurmctldPort = 99999\nnonsense\n= 3\n"),
              SlurmSettings{});
}

class Listener {
  public:
    Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        socklen_t length = sizeof address;
        ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length);
        port = ntohs(address.sin_port);
        ::listen(fd_.get(), 0);
    }
    void close() { fd_.reset(); }
    uint16_t port = 0;

  private:
    Fd fd_;
};

TEST(Controllers, are_reachable_when_they_accept_and_when_they_refuse) {
    Listener listener;
    SlurmSettings settings;
    settings.controllers = {"127.0.0.1"};
    settings.controller_port = listener.port;
    EXPECT_TRUE(Controllers(settings).reachable(std::chrono::seconds(1)));
    listener.close();
    EXPECT_TRUE(Controllers(settings).reachable(std::chrono::seconds(1)));
}

TEST(Controllers, are_not_reachable_where_nobody_answers) {
    SlurmSettings settings;
    EXPECT_FALSE(Controllers(settings).reachable(std::chrono::seconds(1)));
    settings.controllers = {"name that cannot be looked up"};
    EXPECT_FALSE(Controllers(settings).reachable(std::chrono::seconds(1)));
}

TEST(Controllers, are_not_reachable_where_the_answer_takes_too_long) {
    Listener listener;
    // Nobody accepts, and the kernel does not answer more than it can keep.
    std::vector<Fd> waiting;
    for (int n = 0; n < 8; ++n) {
        waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(listener.port);
        ::connect(waiting.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    SlurmSettings settings;
    settings.controllers = {"127.0.0.1"};
    settings.controller_port = listener.port;
    EXPECT_FALSE(Controllers(settings).reachable(std::chrono::milliseconds(200)));
}

} // namespace
