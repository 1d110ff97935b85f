// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/supervisor/job.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <unistd.h>

extern char** environ;

namespace tlc {
namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

Result<uint64_t> number_variable(const char* name) {
    const std::string text = variable(name);
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        return fail("{}=\"{}\" is not a number", name, text);
    return value;
}

uint64_t number_or(const char* name, uint64_t otherwise) { return number_variable(name).value_or(otherwise); }

bool is_safe_name(const std::string& text) {
    return !text.empty() && text.front() != '.' && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '-' || c == '_' || c == '.';
    });
}

std::string slurm_name(const std::string& id) {
    const auto array = variable("SLURM_ARRAY_JOB_ID"), task = variable("SLURM_ARRAY_TASK_ID");
    return array.empty() || task.empty() ? id : fmt::format("{}_{}", array, task);
}

uint64_t slurm_cpus() { return std::max<uint64_t>(1, number_or("SLURM_CPUS_ON_NODE", 1)); }

uint64_t slurm_memory() {
    constexpr uint64_t mib = uint64_t{1} << 20;
    if (const auto node = number_or("SLURM_MEM_PER_NODE", 0)) return node * mib;
    return number_or("SLURM_MEM_PER_CPU", 0) * slurm_cpus() * mib;
}

} // namespace

std::vector<std::string> job_environment() {
    constexpr std::array<std::string_view, 6> hidden{
        "TLC_", "SLURM_TLC_", "SLURM_SPANK_", "_SLURM_SPANK_OPTION_", "SPANK_", "SLURM_EXPORT_ENV="};
    std::vector<std::string> out;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const bool drop =
            std::any_of(hidden.begin(), hidden.end(), [&](auto prefix) { return text.starts_with(prefix); });
        // A node's private temporary directory does not exist in the guest.
        if (text.starts_with("TMPDIR="))
            out.emplace_back("TMPDIR=/tmp");
        else if (!drop)
            out.emplace_back(text);
    }
    return out;
}

std::string how_to_continue(const Job& job, const std::filesystem::path& directory) {
    return fmt::format("continue it with: tlc-restart --checkpoint-dir={} run {}{}",
                       directory.parent_path().string(), job.id, job.under_slurm ? "" : " --local");
}

Result<Job> job_from_slurm(std::vector<std::string> arguments) {
    Job job;
    job.under_slurm = true;
    job.cluster = variable("SLURM_CLUSTER_NAME");
    if (job.cluster.empty()) job.cluster = "slurm";
    // Array members share SLURM_ARRAY_JOB_ID; SLURM_JOB_ID is unique to each.
    job.id = variable("SLURM_JOB_ID");
    job.slurm_name = slurm_name(job.id);
    job.node = variable("SLURMD_NODENAME");
    if (!is_safe_name(job.cluster) || !is_safe_name(job.id))
        return fail("SLURM_CLUSTER_NAME=\"{}\" and SLURM_JOB_ID=\"{}\" do not make a directory name",
                    job.cluster, job.id);
    job.restart_count = static_cast<unsigned>(number_or("SLURM_RESTART_COUNT", 0));
    if (number_or("SLURM_JOB_NUM_NODES", 1) > 1)
        return fail(ErrorKind::usage, "a job in a VM runs on one node; ask for --nodes=1");
    TLC_TRY_ASSIGN(request, from_text(variable("TLC_JOB_REQUEST")));
    job.request = std::move(request);
    job.script = variable("TLC_SCRIPT");
    job.arguments = std::move(arguments);
    job.environment = job_environment();
    job.directory = std::filesystem::current_path();
    job.vcpus = static_cast<unsigned>(slurm_cpus());
    job.memory_bytes = slurm_memory();
    if (const auto from = variable("SLURM_TLC_RESTART_FROM"); !from.empty()) job.restart_from = from;
    if (const auto sequence = number_variable("SLURM_TLC_RESTART_SEQUENCE")) job.restart_sequence = *sequence;
    return job;
}

Result<MemoryPlan> plan_memory(const JobRequest& request, uint64_t job_bytes, uint64_t overhead) {
    constexpr uint64_t mib = uint64_t{1} << 20;
    constexpr uint64_t smallest_guest = 192 * mib;
    constexpr uint64_t smallest_buffer = 64 * mib;
    const auto buffer_for = [&](uint64_t guest) {
        return request.buffer_bytes != 0 ? request.buffer_bytes : std::max(smallest_buffer, guest / 16);
    };
    // What the engine notes of each page of the guest, 24 bytes, and a little more.
    const auto notes_for = [](uint64_t guest) { return guest / 128; };
    MemoryPlan plan;
    if (request.memory_bytes != 0) {
        plan.guest_bytes = request.memory_bytes / mib * mib;
        plan.buffer_bytes = buffer_for(plan.guest_bytes);
        const uint64_t needed = plan.guest_bytes + plan.buffer_bytes + notes_for(plan.guest_bytes) + overhead;
        if (job_bytes != 0 && needed > job_bytes)
            return fail(ErrorKind::usage,
                        "--vm-memory={}M needs {} with the checkpoint buffer and QEMU, the job has {}; write "
                        "--mem={}M "
                        "or a smaller --vm-memory",
                        plan.guest_bytes / mib, size_text(needed), size_text(job_bytes),
                        (needed + mib - 1) / mib);
    } else if (job_bytes == 0) {
        // No limit known: half of what is free now, as nobody else has promised it to us.
        const auto pages = static_cast<uint64_t>(std::max(0L, ::sysconf(_SC_AVPHYS_PAGES)));
        plan.guest_bytes = std::clamp(pages * 4096 / 2 / mib * mib, smallest_guest, 2048 * mib);
        plan.buffer_bytes = buffer_for(plan.guest_bytes);
    } else {
        const uint64_t rest = job_bytes > overhead ? job_bytes - overhead : 0;
        plan.buffer_bytes =
            request.buffer_bytes != 0 ? request.buffer_bytes : std::max(smallest_buffer, rest / 17);
        const uint64_t without_buffer = rest > plan.buffer_bytes ? rest - plan.buffer_bytes : 0;
        plan.guest_bytes = (without_buffer - without_buffer / 129) / mib * mib;
        if (plan.guest_bytes < smallest_guest)
            return fail(ErrorKind::usage,
                        "the job's {} leave no room for a VM beside the checkpoint buffer ({}) and QEMU "
                        "({}); write at "
                        "least --mem={}M",
                        size_text(job_bytes), size_text(plan.buffer_bytes), size_text(overhead),
                        (smallest_guest + notes_for(smallest_guest) + plan.buffer_bytes + overhead) / mib +
                            1);
    }
    return plan;
}

} // namespace tlc
