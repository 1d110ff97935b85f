// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/units.hpp>
#include <tlc/supervisor/host_check.hpp>
#include <tlc/supervisor/job_file.hpp>

#include <nlohmann/json.hpp>

#include "commands.hpp"

namespace tlc {
namespace {

void line(const char* name, const std::string& value) { fmt::print("{:<16} {}\n", name, value); }

void print_for_people(const JobDirectory& job, const JobFile& file, const Checkpoint& checkpoint,
                      const Manifest& m, const Status& here) {
    line("job", job.path().filename().string());
    line("state", job_state(job));
    line("script", file.script.string());
    line("directory", file.directory.string());
    line("checkpoint", fmt::format("{} in {}", checkpoint.sequence, checkpoint.directory.string()));
    line("whole", checkpoint.error ? "no: " + checkpoint.error->message : "yes");
    line("taken", fmt::format("{}, start {} of the job", m.created, m.epoch));
    line("pause", fmt::format("{:.1f} ms", m.timings.pause_ms));
    line("latency", duration_text(std::chrono::milliseconds(static_cast<int64_t>(m.timings.latency_ms))));
    line("memory",
         fmt::format("{}, stored in {}", size_text(m.sizes.ram_bytes), size_text(m.sizes.stored_bytes)));
    line("output so far", fmt::format("{} stdout, {} stderr", size_text(m.console.stdout_bytes),
                                      size_text(m.console.stderr_bytes)));
    line("machine", fmt::format("{}, {}, cpu {}, {} vcpus, {}", m.vm.machine, m.vm.accel, m.vm.cpu,
                                m.vm.vcpus, size_text(m.vm.memory_bytes)));
    line("qemu", m.vm.qemu_version);
    line("guest image", m.image.path);
    line("builds on", m.memory.older.empty()
                          ? "nothing, it stands alone"
                          : fmt::format("{} older files of memory", m.memory.older.size()));
    if (m.disk) line("disk", fmt::format("{}, {} files", m.disk->kind, m.disk->files.size()));
    line("restorable here", here ? "yes" : "no: " + here.error().message);
}

} // namespace

Status show_job(const JobDirectory& job, std::optional<uint64_t> sequence, const std::string& config_file,
                bool json) {
    TLC_TRY_ASSIGN(config, load_config(config_file));
    TLC_TRY_ASSIGN(file, read_job_file(job.path()));
    TLC_TRY_ASSIGN(checkpoint, find_checkpoint(job, sequence));
    if (!checkpoint.manifest) return tl::unexpected(*checkpoint.error);
    const auto here = check_host_and_qemu(*checkpoint.manifest, config, -1);
    if (!json) {
        print_for_people(job, file, checkpoint, *checkpoint.manifest, here);
        return {};
    }
    TLC_TRY_ASSIGN(text, manifest_text(*checkpoint.manifest));
    nlohmann::json object{
        {"job", job.path().filename().string()}, {"state", job_state(job)},
        {"whole", checkpoint.whole()},           {"directory", checkpoint.directory.string()},
        {"restorable_here", here.has_value()},   {"manifest", nlohmann::json::parse(text)}};
    if (!here) object["why_not_here"] = here.error().message;
    if (checkpoint.error) object["error"] = checkpoint.error->message;
    fmt::print("{}\n", object.dump(2));
    return {};
}

} // namespace tlc
