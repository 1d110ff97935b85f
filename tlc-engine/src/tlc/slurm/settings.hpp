// SPDX-License-Identifier: GPL-2.0-or-later
// What a supervisor has to know of the cluster's slurm.conf, and whether the controllers can be reached.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

struct SlurmSettings {
    std::chrono::seconds kill_wait{30};       // from TERM to KILL
    std::chrono::seconds slurmd_timeout{300}; // a node not heard of for so long is DOWN; 0: never
    std::vector<std::string> controllers;     // addresses or names
    uint16_t controller_port = 6817;

    bool operator==(const SlurmSettings&) const = default;
};

// Asks slurmctld; an Error if it does not answer within `patience`. Thread-safe.
Result<SlurmSettings> ask_slurm_settings(std::chrono::seconds patience);
// The text of "scontrol show config"; what is not in it keeps Slurm's default.
SlurmSettings parse_slurm_settings(std::string_view text);

// Whether some machine answers at one of these addresses, be it with a refusal: then this node is not cut off
// from it. Names are looked up when the object is made, as that may take long when the network is gone.
class Controllers {
  public:
    explicit Controllers(const SlurmSettings& settings);
    // Waits at most `patience` for all of them together. Only one thread at a time.
    bool reachable(std::chrono::milliseconds patience) const;

  private:
    std::vector<std::string> addresses_; // sockaddr bytes
};

} // namespace tlc
