// SPDX-License-Identifier: GPL-2.0-or-later
// Capture: how the memory of a running VM gets into an image that is true for one moment, the pause. The
// order of the calls is the same for every kind:
//
//   (the kind's own preparation, while the VM runs)
//   in_pause()  the VM stands still: what cannot wait. The image is the memory as it is now.
//   wait()      the VM runs again: until every page is with its sink, or the first error.
//
// On any error, and when the object is destroyed early, the VM runs on and only the checkpoint is lost.
// in_pause and wait: one thread; the rest: any.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>

namespace tlc {

struct CaptureCounters {
    uint64_t pages_saved = 0;       // given to a sink, those given twice counted twice
    uint64_t pages_untouched = 0;   // never touched by the guest, so zero
    uint64_t buffer_peak_bytes = 0; // of the buffer for pages copied but not yet written
    uint64_t working_set_pages = 0; // pages the guest wrote during the checkpoint, as far as the kind knows
    // cow
    uint64_t faults = 0;
    uint64_t clusters_by_fault = 0;
    uint64_t clusters_by_sweep = 0;
    uint64_t exposed_bytes = 0; // written between protection and the pause, protected again in it
    // log
    uint64_t table_pages = 0;  // pages that were in the table of dirty pages, each counted once
    uint64_t skipped_opt1 = 0; // not read by the pass over RAM, being in the table
    uint64_t skipped_opt2 = 0; // not written from the table, being copied again in the pause
};

class Capture {
  public:
    virtual ~Capture() = default;
    virtual Status in_pause() = 0;
    virtual Result<CaptureCounters> wait() = 0;
    // wait() then returns the error, unless something else failed first.
    virtual void cancel(Error why) = 0;
    virtual uint64_t bytes_total() const = 0;
    virtual uint64_t bytes_done() const = 0;
};

} // namespace tlc
