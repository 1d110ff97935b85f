// SPDX-License-Identifier: GPL-2.0-or-later
// Traces of failures, in seconds from the start of a job. The same seed gives the same trace on every machine
// with the same arithmetic. Weibull with shape 0.7 is what B. Schroeder and G. Gibson, "A large-scale study
// of failures in high-performance-computing systems" (DSN 2006), found for the times between failures of
// whole systems: a failure makes the next one soon more likely.
#pragma once

#include <cstdint>
#include <vector>

namespace simulation {

// Uniform in [0, 1), by splitmix64 (S. Vigna, public domain).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    double next();

  private:
    uint64_t state_;
};

enum class Distribution { exponential, weibull };
const char* name_of(Distribution distribution);

// Times between failures are independent and have this mean. The job starts at some time in a system that
// has run long before. Ends after the first failure beyond `until`.
std::vector<double> failure_trace(Distribution distribution, double mean, double until, uint64_t seed);

} // namespace simulation
