// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a chunk is compressed. Compression takes processor time, which a job on all processors pays for,
// and saves writing. Which is more depends on the data and on the disk, so both are measured on the way: a
// chunk is compressed as long as that takes less time than writing the saved bytes would. Where it does not,
// one chunk in 32 is compressed all the same, to notice when the data changes.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace tlc {

enum class Compression { automatic, always, never };

// "auto", "always", "never"; anything else is an error (usage).
Result<Compression> parse_compression(std::string_view text);

// Not thread-safe: one a thread.
class CompressionChoice {
  public:
    using Nanoseconds = std::chrono::duration<double, std::nano>;
    struct Step {
        bool compress = false;
        bool measure = false; // looking at the clock costs something too: only now and then
    };
    struct Measured { // of such a step
        Nanoseconds compressing{0};
        uint64_t saved_bytes = 0;
        Nanoseconds writing{0}; // processor time until the file system has it
        uint64_t written_bytes = 0;
        double disk_ns_per_byte = 0; // while the disk is waited for, otherwise 0
    };

    explicit CompressionChoice(Compression setting) : setting_(setting) {}

    // For the next chunk.
    Step next();
    void measured(const Step& step, const Measured& what);

  private:
    Compression setting_;
    unsigned chunks_ = 0;
    double cost_ns_ = 0;     // of compressing a chunk
    double saved_bytes_ = 0; // by that
    double write_ns_ = 0;    // for a byte
    double disk_ns_ = 0;     // likewise
};

// Processor time of the calling thread.
CompressionChoice::Nanoseconds thread_time();

} // namespace tlc
