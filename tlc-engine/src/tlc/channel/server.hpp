// SPDX-License-Identifier: GPL-2.0-or-later
// ChannelServer: listens on a Unix socket (mode 0600) in a directory of the caller and accepts one QEMU, of
// the same user only. The name is removed when QEMU is in, or by the destructor. Not thread-safe.
#pragma once

#include <tlc/channel/channel.hpp>

#include <filesystem>

namespace tlc {

class ChannelServer {
  public:
    // Errors: a directory that cannot be written, a path too long for a Unix socket (107 bytes).
    static Result<ChannelServer> listen(const std::filesystem::path& directory);

    ChannelServer(ChannelServer&& other) noexcept;
    ChannelServer& operator=(ChannelServer&&) = delete;
    ~ChannelServer();

    const std::filesystem::path& path() const { return path_; } // for x-tlc-save and x-tlc-load

    // Connections of other users are dropped. An error when nobody else came within the limit.
    Result<Channel> accept(std::chrono::milliseconds limit);

  private:
    ChannelServer(Fd socket, std::filesystem::path path)
        : socket_(std::move(socket)), path_(std::move(path)) {}
    void unlink();

    Fd socket_;
    std::filesystem::path path_;
};

} // namespace tlc
