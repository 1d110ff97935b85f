// SPDX-License-Identifier: GPL-2.0-or-later
// Carries what the guest's job printed (a file QEMU appends to, the console) to where the job's output goes,
// each byte exactly once. After a restore the console holds what it held at the checkpoint; a regular output
// file is made to hold just that too, whatever was in it (nothing, or lines printed after the checkpoint).
// Not thread-safe. The output descriptor stays the caller's.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>

namespace tlc {

class OutputFollower {
  public:
    // `base`: the size a regular output file had before the job printed anything; kept with the checkpoints.
    OutputFollower(std::filesystem::path console, int output_fd, uint64_t base)
        : console_path_(std::move(console)), output_fd_(output_fd), base_(base) {}

    // Before the VM runs. Effect on a regular output: it holds its first `base` bytes (fewer if it was
    // truncated meanwhile), then the console so far. Pipes and terminals: what the console already holds is
    // taken as shown when `shown` is set.
    Status reconcile(bool shown);

    // Copies what is new. Errors keep the position, so a later call continues without loss.
    Status pump();

    // The last pump(): a regular output is durable afterwards.
    Status finish();

  private:
    Status open_console();

    std::filesystem::path console_path_;
    int output_fd_;
    uint64_t base_;
    uint64_t done_ = 0;
    Fd console_;
};

// The size of the regular file behind a descriptor; 0 for anything else.
uint64_t regular_size(int fd);
// Whether two descriptors lead to the same file.
bool same_file(int a, int b);

} // namespace tlc
