// SPDX-License-Identifier: GPL-2.0-or-later
#include <guest/pump.hpp>

#include <cerrno>
#include <unistd.h>

namespace tlc::guest {

void Pump::read_some() {
    if (!source_ || pending() != 0) return;
    const ssize_t n = ::read(source_.get(), buffer_.data(), buffer_.size());
    if (n > 0) {
        begin_ = 0;
        end_ = static_cast<size_t>(n);
        return;
    }
    const bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (again && !end_when_empty_) return;
    source_.reset();
}

void Pump::write_some() {
    if (pending() == 0) return;
    const ssize_t n = ::write(port_, buffer_.data() + begin_, pending());
    if (n > 0) begin_ += static_cast<size_t>(n);
}

} // namespace tlc::guest
