// SPDX-License-Identifier: GPL-2.0-or-later
// What a checkpoint costs a job that computes, judged from outside by the processor time that its VM gets:
// writes that wait for the engine, processors it takes, and the pause all make it less than between
// checkpoints. It cannot tell for a job that mostly waits, nor what follows a checkpoint, nor what the kernel
// does in the VM's name to serve its faults. Pure: whoever asks brings the times. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>

namespace tlc {

class CostMeter {
  public:
    using Seconds = std::chrono::duration<double>;
    struct Sample {
        Seconds time{0}; // of any clock
        Seconds used{0}; // processor time of the VM's process, all threads
    };

    // No checkpoint is being taken from now on.
    void rest(const Sample& now);
    // One is begun.
    void begin(const Sample& now) { begun_ = now; }
    // It is durable: what the job has lost since begin(), from zero to all of the time. Nothing if the VM was
    // nearly idle before or was not seen long enough. Then: rest().
    std::optional<Seconds> end(const Sample& now);

  private:
    std::optional<Sample> resting_, begun_;
};

// Processor time of a process, with its children that were waited for left out; nothing if it is gone.
std::optional<std::chrono::duration<double>> processor_time(pid_t pid);

} // namespace tlc
