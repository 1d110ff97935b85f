// SPDX-License-Identifier: GPL-2.0-or-later
// A client of QEMU's monitor protocol (QMP): one command at a time, answered or timed out. Events are
// dropped: whoever needs a state asks for it. Not thread-safe. A QMP socket serves one client at a time.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace tlc {

class Qmp {
  public:
    using Clock = std::chrono::steady_clock;

    // Connects (waiting for the socket to appear until `patience` is over), reads the greeting and leaves
    // capabilities negotiation.
    static Result<Qmp> connect(const std::filesystem::path& socket, std::chrono::milliseconds patience);

    // The command's "return" value. QEMU's own error text is the Error's message. An answer that comes when
    // the patience is over is nobody's.
    Result<nlohmann::json> execute(const std::string& command,
                                   nlohmann::json arguments = nlohmann::json::object(),
                                   std::chrono::milliseconds patience = std::chrono::seconds(30));

    // "10.0.13", from the greeting.
    const std::string& qemu_version() const { return version_; }

  private:
    explicit Qmp(Fd fd) : fd_(std::move(fd)) {}
    Result<nlohmann::json> read_object(Clock::time_point deadline);
    Status send(const nlohmann::json& message);

    Fd fd_;
    std::string pending_;
    std::string version_;
    uint64_t commands_ = 0; // sent; the id of the last one
};

} // namespace tlc
