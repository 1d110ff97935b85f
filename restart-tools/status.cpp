// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/supervisor/job_status.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <thread>
#include <unistd.h>

#include "commands.hpp"

namespace tlc {
namespace {

using Clock = std::chrono::system_clock;

// The supervisor renews it every ten seconds.
constexpr std::chrono::seconds stale{40};
constexpr std::chrono::seconds watch_every{2};

std::string since(Clock::time_point then, Clock::time_point now) {
    if (then >= now) return "0.0 ms";
    return duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(now - then));
}

struct Seen {
    JobStatus status;
    std::string job; // "unfinished", "ended with 0"
    Clock::time_point now;
    bool ended() const { return job != "unfinished"; }
    bool silent() const { return now - status.updated > stale; }
    // What is lost if the job is lost now.
    Clock::duration at_risk() const {
        return now - (status.last ? std::max(status.last->taken, status.started) : status.started);
    }
};

void line(const char* name, const std::string& value) { fmt::print("{:<17}{}\n", name, value); }

void print(const Seen& seen) {
    const auto& s = seen.status;
    line("job", s.job);
    if (seen.ended())
        line("state", seen.job);
    else if (seen.silent())
        line("state",
             fmt::format("silent for {}; was \"{}\" on {}", since(s.updated, seen.now), s.state, s.node));
    else
        line("state",
             fmt::format("{} on {} for {}, start {}", s.state, s.node, since(s.started, seen.now), s.epoch));
    if (s.last)
        line("last checkpoint",
             fmt::format("{}, {} ago: pause {:.1f} ms, latency {}, {}", s.last->sequence,
                         since(s.last->taken, seen.now), s.last->pause_ms,
                         duration_text(std::chrono::milliseconds(static_cast<int64_t>(s.last->latency_ms))),
                         size_text(s.last->stored_bytes)));
    else
        line("last checkpoint", "none yet");
    if (!seen.ended() && !seen.silent()) {
        line("next checkpoint", s.next_checkpoint > seen.now
                                    ? fmt::format("in {} (every {})", since(seen.now, s.next_checkpoint),
                                                  duration_text(s.interval))
                                    : fmt::format("due (every {})", duration_text(s.interval)));
        line("lost if it died",
             duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(seen.at_risk())));
    }
    line("since this start",
         fmt::format("{} checkpoints, {} failed; stood still for {} in all, {:.1f} ms at most", s.checkpoints,
                     s.failed, duration_text(std::chrono::milliseconds(static_cast<int64_t>(s.stopped_ms))),
                     s.longest_pause_ms));
}

nlohmann::json json_of(const Seen& seen) {
    auto object = nlohmann::json::parse(status_text(seen.status));
    object["ended"] = seen.ended();
    object["silent"] = !seen.ended() && seen.silent();
    object["at_risk"] = std::chrono::duration_cast<std::chrono::seconds>(seen.at_risk()).count();
    return object;
}

} // namespace

Status show_status(const JobDirectory& job, bool watch, bool json) {
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    for (;;) {
        TLC_TRY_ASSIGN(status, read_status(job.path()));
        const Seen seen{std::move(status), job_state(job), Clock::now()};
        if (json) {
            fmt::print("{}\n", json_of(seen).dump(watch ? -1 : 2));
        } else {
            // Home, and what is left of the longer text before is cleared.
            if (watch && terminal) fmt::print("\033[H\033[2J");
            print(seen);
            if (watch && !terminal) fmt::print("\n");
        }
        std::fflush(stdout);
        if (!watch || seen.ended()) return {};
        std::this_thread::sleep_for(watch_every);
    }
}

} // namespace tlc
