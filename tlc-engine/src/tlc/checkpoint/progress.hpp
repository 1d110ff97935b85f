// SPDX-License-Identifier: GPL-2.0-or-later
// Shows how far a long transfer is: bytes, rate, time left; on one line of a terminal, a few times a second,
// from a thread of its own. Silent where stderr is no terminal.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace tlc {

class Progress {
  public:
    // `done` is called from the thread, until the Progress is dropped.
    Progress(std::string what, uint64_t total, std::function<uint64_t()> done);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();

  private:
    void show(const std::function<uint64_t()>& done);

    std::string what_;
    uint64_t total_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

} // namespace tlc
