// SPDX-License-Identifier: GPL-2.0-or-later
#include "failures.hpp"

#include <cmath>

namespace simulation {
namespace {
constexpr double weibull_shape = 0.7;
constexpr double long_before = 50; // times the mean
} // namespace

double Random::next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

const char* name_of(Distribution distribution) {
    return distribution == Distribution::weibull ? "weibull" : "exponential";
}

std::vector<double> failure_trace(Distribution distribution, double mean, double until, uint64_t seed) {
    const double shape = distribution == Distribution::weibull ? weibull_shape : 1;
    const double scale = mean / std::tgamma(1 + 1 / shape);
    Random random(seed);
    std::vector<double> trace;
    // Not all systems are of the same age.
    for (double time = -(long_before + random.next()) * mean; time < until;) {
        time += scale * std::pow(-std::log1p(-random.next()), 1 / shape);
        if (time >= 0) trace.push_back(time);
    }
    return trace;
}

} // namespace simulation
