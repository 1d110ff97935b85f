// SPDX-License-Identifier: GPL-2.0-or-later
// Signals as events: blocked for the whole process, taken from a descriptor in the loop. Children started
// with base/process get a clean mask.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <chrono>
#include <optional>

namespace tlc {

class SignalQueue {
  public:
    // Blocks TERM, INT, HUP, USR1, USR2, CHLD and ignores PIPE. Call before any thread is made.
    static Result<SignalQueue> open();
    int fd() const { return fd_.get(); }
    // The next signal's number, or nothing.
    std::optional<int> take();
    // Waits. An Error if TERM or INT comes meanwhile; other signals are lost.
    Status sleep(std::chrono::milliseconds time);

  private:
    explicit SignalQueue(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

// Ends this process by the signal, so that whoever waits for it sees just that; 128 + number if it survives.
[[noreturn]] void die_by(int signal_number);

} // namespace tlc
