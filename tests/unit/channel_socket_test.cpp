// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/channel/server.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace tlc {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ChannelSocket : public testing::Test {
  protected:
    void SetUp() override {
        int pair[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        engine_.emplace(Fd(pair[0]), ::getpid());
        qemu_.emplace(Fd(pair[1]), ::getpid());
    }
    void send_raw(std::span<const std::byte> bytes) {
        ASSERT_EQ(::send(qemu_->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
    }
    std::optional<Channel> engine_;
    std::optional<Channel> qemu_;
};

Fd memory_file(const char* content) {
    Fd fd(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), content, std::strlen(content)), static_cast<ssize_t>(std::strlen(content)));
    return fd;
}

TEST_F(ChannelSocket, MessagesWithDescriptors) {
    const Fd armed = memory_file("one");
    const Fd state = memory_file("second");
    const int first[] = {armed.get()};
    const int second[] = {state.get()};
    ASSERT_TRUE(engine_->send(Pause{}, 1s));
    ASSERT_TRUE(qemu_->expect<Pause>(1s));
    ASSERT_TRUE(qemu_->send(Armed{5}, 1s, first));
    ASSERT_TRUE(qemu_->send(Paused{6, 1, 2, true}, 1s, second));
    ASSERT_TRUE(qemu_->send(Resumed{3}, 1s));
    auto early = engine_->expect<Armed>(1s);
    ASSERT_TRUE(early) << early.error().message;
    EXPECT_EQ(early->descriptors.size(), 1U);
    auto paused = engine_->expect<Paused>(1s);
    ASSERT_TRUE(paused) << paused.error().message;
    EXPECT_EQ(paused->message, (Paused{6, 1, 2, true}));
    ASSERT_EQ(paused->descriptors.size(), 1U);
    std::array<std::byte, 6> content{};
    ASSERT_TRUE(read_at(paused->descriptors[0].get(), content, 0));
    EXPECT_EQ(std::memcmp(content.data(), "second", 6), 0);
    EXPECT_EQ(::fcntl(paused->descriptors[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_EQ(engine_->expect<Resumed>(1s)->message.resumed_ns, 3U);
}

TEST_F(ChannelSocket, WrongNumberOfDescriptors) {
    EXPECT_FALSE(qemu_->send(Paused{6, 1, 2, true}, 1s));
    const Fd file = memory_file("x");
    const int one[] = {file.get()};
    EXPECT_FALSE(qemu_->send(Resume{}, 1s, one));
    send_raw(*encode(Paused{6, 1, 2, true}));
    const auto result = engine_->receive(1s);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("PAUSED with 0 descriptors"));
}

TEST_F(ChannelSocket, ErrorOfThePeerIsItsText) {
    qemu_->abort("device 'vga' blocks");
    const auto result = engine_->receive(1s);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "QEMU: device 'vga' blocks");
    EXPECT_FALSE(engine_->receive(1s));
}

TEST_F(ChannelSocket, PeerGone) {
    qemu_.reset();
    for (const auto& status : {engine_->send(Pause{}, 1s), Status(engine_->receive(1s).map([](auto&&) {}))}) {
        ASSERT_FALSE(status);
        EXPECT_THAT(status.error().message, HasSubstr("closed the channel"));
    }
}

TEST_F(ChannelSocket, PeerGoneInTheMiddle) {
    const auto frame = *encode(Resumed{3});
    for (size_t n = 1; n < frame.size(); ++n) {
        SetUp();
        send_raw(std::span(frame).first(n));
        qemu_.reset();
        const auto result = engine_->receive(1s);
        ASSERT_FALSE(result);
        EXPECT_THAT(result.error().message, HasSubstr("closed the channel"));
    }
}

TEST_F(ChannelSocket, Deadline) {
    const auto began = std::chrono::steady_clock::now();
    const auto frame = *encode(Resumed{3});
    send_raw(std::span(frame).first(20));
    const auto result = engine_->receive(50ms);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("in time"));
    EXPECT_GE(std::chrono::steady_clock::now() - began, 50ms);
}

TEST_F(ChannelSocket, SendMeetsItsDeadline) {
    Hello hello;
    hello.page_size = 4096;
    hello.pid = 1;
    for (uint64_t i = 0; i < max_blocks; ++i)
        hello.blocks.push_back({"r" + std::to_string(i), (i + 1) << 20, 4096, 4096, 4096, true, false});
    Status status;
    for (int i = 0; i < 1000 && status; ++i)
        status = engine_->send(hello, 20ms);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr("in time (sending HELLO)"));
}

TEST_F(ChannelSocket, SlowAndSplitMessageArrives) {
    std::thread sender([&] {
        const auto frame = *encode(Resumed{77});
        for (const std::byte& b : frame) {
            send_raw({&b, 1});
            std::this_thread::sleep_for(1ms);
        }
    });
    const auto result = engine_->expect<Resumed>(5s);
    sender.join();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->message.resumed_ns, 77U);
}

TEST_F(ChannelSocket, BrokenFrameIsAnsweredWithError) {
    auto frame = *encode(Resumed{3});
    frame[4] = std::byte{9};
    send_raw(frame);
    const auto result = engine_->receive(1s);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::incompatible);
    const auto answer = qemu_->receive(1s);
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().message, HasSubstr("channel version 9"));
    EXPECT_EQ(engine_->fd(), -1);
    EXPECT_FALSE(engine_->send(Pause{}, 1s));
}

TEST_F(ChannelSocket, UnexpectedMessage) {
    ASSERT_TRUE(qemu_->send(Loaded{}, 1s));
    const auto result = engine_->expect<Resumed>(1s);
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("LOADED came instead of RESUMED"));
}

class Server : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/tlc-channel-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        directory_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    static Fd connect(const std::filesystem::path& path) {
        Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) fd.reset();
        return fd;
    }
    std::filesystem::path directory_;
};

TEST_F(Server, AcceptsTheSameUserAndRemovesItsName) {
    auto server = ChannelServer::listen(directory_);
    ASSERT_TRUE(server) << server.error().message;
    const auto path = server->path();
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    const Fd client = connect(path);
    ASSERT_TRUE(client);
    auto channel = server->accept(1s);
    ASSERT_TRUE(channel) << channel.error().message;
    EXPECT_EQ(channel->peer_pid(), ::getpid());
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Server, TimesOutAndCleansUp) {
    {
        auto server = ChannelServer::listen(directory_);
        ASSERT_TRUE(server);
        const auto channel = server->accept(20ms);
        ASSERT_FALSE(channel);
        EXPECT_THAT(channel.error().message, HasSubstr("did not connect"));
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(Server, DropsOtherUsers) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
    auto server = ChannelServer::listen(directory_);
    ASSERT_TRUE(server);
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
    ASSERT_EQ(::chmod(server->path().c_str(), 0666), 0);
    ASSERT_EQ(::seteuid(65534), 0);
    const Fd stranger = connect(server->path());
    ASSERT_EQ(::seteuid(0), 0);
    ASSERT_TRUE(stranger);
    EXPECT_FALSE(server->accept(50ms));
    const Fd friendly = connect(server->path());
    EXPECT_TRUE(server->accept(1s));
}

TEST_F(Server, PathTooLong) {
    const auto deep = directory_ / std::string(100, 'd');
    std::filesystem::create_directory(deep);
    const auto server = ChannelServer::listen(deep);
    ASSERT_FALSE(server);
    EXPECT_THAT(server.error().message, HasSubstr("shorter path"));
}

} // namespace
} // namespace tlc
