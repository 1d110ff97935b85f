// SPDX-License-Identifier: GPL-2.0-or-later
// CaptureChoice: how memory is to be taken, as users write it:
//   auto          cow where QEMU may have a userfaultfd, otherwise log:nonstop
//   cow           copy on write
//   log:nonstop   by dirty log, the VM runs until the pause
//   log:MS        the VM stands still every MS milliseconds while the log is read
//   mem:MS        and while the pages in it are copied
//   log:onepass   by dirty log read only in the pause
#pragma once

#include <tlc/capture/log_capture.hpp>

#include <string>
#include <string_view>

namespace tlc {

enum class CaptureKind { automatic, cow, log };

struct CaptureChoice {
    CaptureKind kind = CaptureKind::automatic;
    LogVariant variant = LogVariant::nonstop;
    std::chrono::milliseconds interval{200}; // nonstop: between two readings of the log

    std::string text() const;
};

// Errors (usage): anything else, or an interval outside 1 to 3600000 ms.
Result<CaptureChoice> parse_capture_choice(std::string_view text);

} // namespace tlc
