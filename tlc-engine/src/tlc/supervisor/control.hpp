// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the guest agent's control lines (JSON objects, one a line) from the file QEMU appends them to.
// A line is taken when its newline has arrived; lines that are not understood are skipped. Not thread-safe.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

struct GuestEvent {
    enum class Kind { booted, started, exited, failed, heartbeat };
    Kind kind = Kind::heartbeat;
    bool signalled = false; // exited: `code` is a signal's number
    int code = 0;
    std::string message; // failed
};

// One line to an event; nothing for a line that is not one.
std::optional<GuestEvent> parse_guest_event(const std::string& line);

class ControlReader {
  public:
    static Result<ControlReader> open(const std::filesystem::path& path);
    // What has arrived since the last call. After a restore the old lines come again: events are idempotent.
    Result<std::vector<GuestEvent>> poll();

  private:
    explicit ControlReader(Fd fd) : fd_(std::move(fd)) {}

    Fd fd_;
    uint64_t at_ = 0;
    std::string pending_;
};

} // namespace tlc
