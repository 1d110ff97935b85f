// SPDX-License-Identifier: GPL-2.0-or-later
// What is to be run: the script with its surroundings, how much of the machine it may use, and what was asked
// of its checkpoints. Plain data; read from Slurm's environment or made from tlc-run's command line.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/request/request.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

struct Job {
    std::string cluster; // with `id` it names the job's directory
    std::string id;
    // What scontrol is told, "12" or "12_1": the number of one member of an array is the whole array's, too.
    std::string slurm_name;
    std::string node; // Slurm's name for this one
    bool under_slurm = false;
    unsigned restart_count = 0; // Slurm's; 0 at the first start
    JobRequest request;
    std::filesystem::path script;
    std::vector<std::string> arguments;
    std::vector<std::string> environment; // as the script shall see it
    std::filesystem::path directory;      // working directory, the same path inside and outside
    unsigned vcpus = 1;
    uint64_t memory_bytes = 0; // allocated to the job; 0: not limited

    // Continue this job's directory instead of one of our own, from the given checkpoint or the newest.
    std::optional<std::filesystem::path> restart_from;
    std::optional<uint64_t> restart_sequence;

    std::string name() const { return cluster + "-" + id; }
};

// How the job ended: the script's own exit code, or the signal that ended it.
struct JobEnd {
    bool signalled = false;
    int code = 0;
};

// "continue it with: tlc-restart run ..."; `directory` is the job's.
std::string how_to_continue(const Job& job, const std::filesystem::path& directory);

// From the variables Slurm and the plugin have set. Errors name the variable.
Result<Job> job_from_slurm(std::vector<std::string> arguments);

// The environment without what steers Slurm's plugins or this program, so that a nested sbatch does not
// inherit it.
std::vector<std::string> job_environment();

// Resident memory the VM may use, and the engine's buffer, out of what the job has. The error says how much
// to ask for. `overhead` is what QEMU and the supervisor need beside the guest's memory.
struct MemoryPlan {
    uint64_t guest_bytes = 0;
    uint64_t buffer_bytes = 0;
};
Result<MemoryPlan> plan_memory(const JobRequest& request, uint64_t job_bytes, uint64_t overhead);

} // namespace tlc
