// SPDX-License-Identifier: GPL-2.0-or-later
// Pump carries bytes from the job's output pipe to a port, and holds one buffer: while the port is full
// nothing is read, the pipe fills and the job waits. No byte is lost or doubled. Both descriptors must be
// non-blocking. Not thread-safe.
#pragma once

#include <tlc/base/fd.hpp>

#include <array>

namespace tlc::guest {

class Pump {
  public:
    // `port` stays the caller's.
    Pump(Fd source, int port) : source_(std::move(source)), port_(port) {}

    // What poll(2) should wait for; -1: nothing.
    int read_fd() const { return pending() == 0 ? source_.get() : -1; }
    int write_fd() const { return pending() != 0 ? port_ : -1; }

    void read_some();
    void write_some();
    // Takes no more than the pipe holds now: for a writer that cannot be got rid of.
    void end_source_when_empty() { end_when_empty_ = true; }
    // The source has ended and every byte of it is in the port.
    bool finished() const { return !source_.valid() && pending() == 0; }

  private:
    size_t pending() const { return end_ - begin_; }

    Fd source_;
    int port_;
    bool end_when_empty_ = false;
    std::array<char, size_t{64} << 10> buffer_;
    size_t begin_ = 0, end_ = 0;
};

} // namespace tlc::guest
