// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/base/private_directory.hpp>
#include <tlc/base/process.hpp>
#include <tlc/base/units.hpp>
#include <tlc/request/validate.hpp>
#include <tlc/slurm/job_state.hpp>
#include <tlc/supervisor/another_node.hpp>
#include <tlc/supervisor/ending.hpp>
#include <tlc/supervisor/job_file.hpp>
#include <tlc/supervisor/local_store.hpp>
#include <tlc/supervisor/session.hpp>
#include <tlc/vm/accelerator.hpp>

#include <sys/stat.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace tlc {
namespace {

constexpr std::chrono::seconds slurm_patience{10};
// A node that was DOWN is asked to register every 20th time the nodes are asked whether they are there, which
// is every third of SlurmdTimeout: 33 minutes by default.
constexpr std::chrono::hours longest_registration{1};

// A descriptor the plugin has opened for us, named in the environment; -1 if there is none.
int inherited(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr) return -1;
    const std::string_view digits(text);
    int fd = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    if (error != std::errc{} || end != digits.data() + digits.size() || ::fcntl(fd, F_GETFD) < 0) return -1;
    return fd;
}

// A directory of the same name left by another job (Slurm's job ids start again when its state is lost) or by
// an earlier, finished run of this one must not be continued.
Status set_aside(const std::filesystem::path& old) {
    for (unsigned n = 1;; ++n) {
        const auto aside = old.parent_path() / fmt::format("{}.old-{}", old.filename().string(), n);
        std::error_code error;
        if (std::filesystem::exists(aside, error)) continue;
        std::filesystem::rename(old, aside, error);
        if (error) return fail("cannot set {} aside: {}", old.string(), error.message());
        log::warning("{} belongs to an earlier job; it is now {}", old.string(), aside.string());
        return {};
    }
}

bool is_of_another_user(const std::filesystem::path& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && info.st_uid != ::geteuid();
}

// The last part of the job's directory, as far as it is the job's number. In a root where everybody may make
// directories anybody may have made that one.
std::string directory_id(const Job& job, const std::filesystem::path& root) {
    return is_of_another_user(root / job.name()) ? fmt::format("{}.u{}", job.id, ::geteuid()) : job.id;
}

std::filesystem::path directory_of(const Job& job, const std::filesystem::path& root) {
    return job.restart_from.value_or(root / fmt::format("{}-{}", job.cluster, directory_id(job, root)));
}

// A checkpoint directory that is not mounted may look like one in which the job has not begun yet.
Status check_unbegun(const Job& job, const std::filesystem::path& path, SignalQueue& signals) {
    if (!job.under_slurm || job.restart_count == 0) return {};
    auto known = ask_slurm_job(job.id, slurm_patience);
    // Where there is no squeue nobody can be asked.
    while (!known && known.error().kind != ErrorKind::incompatible) {
        log::warning("waiting for slurmctld to tell whether the job has checkpoints: {}",
                     known.error().message);
        TLC_TRY(signals.sleep(std::chrono::seconds(5)));
        known = ask_slurm_job(job.id, slurm_patience);
    }
    if (!known || !tells_of_checkpoint(known->comment)) return {};
    return fail(ErrorKind::no_checkpoint, "there is no {}, and the job has checkpoints: is {} mounted here?",
                path.string(), path.parent_path().string());
}

Result<JobDirectory> open_directory(const Job& job, const std::filesystem::path& root, SignalQueue& signals) {
    const auto path = directory_of(job, root);
    if (job.restart_from) return JobDirectory::open(path);
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
        // Nothing is read from it before it is known to be ours.
        TLC_TRY(JobDirectory::open(path));
        if (job.restart_count == 0 || read_job_result(path)) TLC_TRY(set_aside(path));
    } else {
        TLC_TRY(check_unbegun(job, path, signals));
    }
    return JobDirectory::create(root, job.cluster, directory_id(job, root));
}

// "max" and "host" name whatever the processor has.
std::string default_cpu(const std::string& accelerator) { return accelerator == "kvm" ? "host" : "max"; }

// Keeps what the user asked for, with the outputs' sizes from before the job's first start.
Result<JobFile> remember(const Job& job, const JobDirectory& directory) {
    std::error_code error;
    if (std::filesystem::exists(directory.job_file(), error)) return read_job_file(directory.path());
    JobFile file{job.request,
                 job.cluster,
                 job.id,
                 job.under_slurm,
                 {},
                 job.arguments,
                 job.directory,
                 job.vcpus,
                 job.memory_bytes,
                 {regular_size(STDOUT_FILENO), regular_size(STDERR_FILENO)}};
    TLC_TRY(write_job_file(directory.path(), file, job.script));
    return file;
}

// A restart by hand has outputs of its own, in which something may stand already.
std::vector<uint64_t> bases_of_restart(const Job& job, const JobDirectory& directory) {
    if (job.restart_count > 0)
        if (auto known = read_output_bases(directory.path(), job.name())) return std::move(*known);
    std::vector<uint64_t> bases{regular_size(STDOUT_FILENO), regular_size(STDERR_FILENO)};
    if (auto kept = write_output_bases(directory.path(), job.name(), bases); !kept)
        log::warning("{}", kept.error().message);
    return bases;
}

// A chosen restart begins a branch of its own.
std::string branch_name(const Job& job) {
    if (!job.restart_from || !job.restart_sequence) return {};
    return fmt::format("from-{}-by-{}", *job.restart_sequence, job.name());
}

// Another copy of the job has been begun while slurmctld could not reach this node. slurmctld has this one
// ended when the node registers again; one that just goes is not noticed by slurmd, which then believes that
// it is still there: it would refuse a later copy of the job ("Duplicate jobid"), which drains the node and
// holds the job.
void await_end_by_slurm(const Job& job, SignalQueue& signals) {
    const auto known = ask_slurm_job(job.id, slurm_patience);
    if (!known || !is_replaced(*known, job.restart_count)) return;
    log::info("waiting for Slurm to end what is left of this copy");
    const auto until = std::chrono::steady_clock::now() + longest_registration;
    while (std::chrono::steady_clock::now() < until) {
        pollfd wanted{signals.fd(), POLLIN, 0};
        ::poll(&wanted, 1, 1000);
        while (const auto number = signals.take())
            if (*number == SIGTERM) return;
    }
}

// slurmd starts a job whose directory it cannot enter in another one, where nobody would look for its files.
Status enter(const std::filesystem::path& directory) {
    std::error_code error;
    std::filesystem::current_path(directory, error);
    if (error) return fail("cannot enter the job's directory {}: {}", directory.string(), error.message());
    return {};
}

// What a start of the job needs of its node before anything is begun.
struct Place {
    AcceleratorChoice accelerator;
    JobDirectory directory;
    Fd log_file;
    std::vector<uint64_t> output_bases;
    JobDirectory store;
    std::unique_ptr<Disk> disk;
};

Result<Place> find_place(Job& job, const SiteConfig& config, int kvm, SignalQueue& signals) {
    TLC_TRY(check_paths(config));
    // A job goes on also where the files are gone that it was begun with, or nothing more can be stored.
    const bool begun = job.restart_count > 0 || job.restart_from;
    if (!begun) TLC_TRY(check_files(job.request, job.directory));
    TLC_TRY_ASSIGN(accelerator, choose_accelerator(accelerator_name(config.vm.accelerator), kvm));

    TLC_TRY_ASSIGN(directory, open_directory(job, job.request.checkpoint_dir, signals));
    TLC_TRY_ASSIGN(log_file, open_file(directory.log_file(), O_WRONLY | O_CREAT | O_APPEND));
    log::set_sink(log_file.get(), config.log_level);
    if (!job.under_slurm && ::isatty(STDERR_FILENO) != 0) log::set_echo(STDERR_FILENO, log::Level::info);
    log::info("job={} start={} node={} accel={} reason={}", job.name(), job.restart_count,
              job.node.empty() ? host_name() : job.node, accelerator.name, accelerator.reason);

    TLC_TRY_ASSIGN(file, remember(job, directory));
    if (begun && !job.restart_from) {
        TLC_TRY(enter(file.directory));
        job.directory = file.directory;
    }
    TLC_TRY(remove_job_result(directory.path()));
    TLC_TRY_ASSIGN(store, open_store(directory, config.paths.local_dir));
    TLC_TRY_ASSIGN(disk, open_disk(store.path(), config.job.disk));
    log::info("disk={} directory={}", disk->kind(), store.path().string());
    auto bases = job.restart_from ? bases_of_restart(job, directory) : std::move(file.output_bases);
    return Place{std::move(accelerator), std::move(directory), std::move(log_file),
                 std::move(bases),       std::move(store),     std::move(disk)};
}

// What is wrong with the job or with the directory that all nodes share is so on each of them.
bool may_be_elsewhere(const Error& error) {
    return error.kind != ErrorKind::no_space && error.kind != ErrorKind::damaged &&
           error.kind != ErrorKind::usage;
}

void forget_log() {
    log::set_echo(-1);
    log::set_sink(STDERR_FILENO);
}

} // namespace

Result<JobEnd> run_job(Job job, const SiteConfig& config) {
    TLC_TRY_ASSIGN(signals, SignalQueue::open());
    TLC_TRY(check_request(job.request));
    if (job.request.checkpoint_dir.empty()) job.request.checkpoint_dir = config.paths.checkpoint_dir;
    if (job.request.image.empty()) job.request.image = config.paths.guest_image;
    if (job.request.buffer_bytes == 0) job.request.buffer_bytes = config.job.buffer_bytes;
    resolve_paths(job.request, job.directory);
    const auto directory = directory_of(job, job.request.checkpoint_dir);
    if (job.under_slurm && job.restart_count > 0)
        if (const auto end = end_of_earlier_start(job, directory)) return *end;
    TLC_TRY_ASSIGN(memory, plan_memory(job.request, job.memory_bytes, config.vm.overhead_bytes));

    const int kvm = inherited("TLC_KVM_FD");
    auto place = find_place(job, config, kvm, signals);
    if (!place) {
        forget_log();
        // It was found on the node where the job was begun.
        const bool elsewhere = job.under_slurm && job.restart_count > 0 && may_be_elsewhere(place.error());
        if (!elsewhere) return tl::unexpected(place.error());
        return tl::unexpected(continue_on_another_node(job, directory, place.error()));
    }
    TLC_TRY_ASSIGN(runtime, PrivateDirectory::make());
    const JobSite site{job,
                       config,
                       place->directory,
                       place->store,
                       *place->disk,
                       runtime.path(),
                       job.request.image,
                       place->output_bases,
                       inherited("TLC_USERFAULTFD_FD"),
                       kvm,
                       place->log_file.get()};
    const auto& accelerator = place->accelerator;
    Manifest::Vm wanted;
    wanted.machine = config.vm.machine;
    wanted.cpu = config.vm.cpu == "auto" ? default_cpu(accelerator.name) : config.vm.cpu;
    wanted.accel = accelerator.name;
    wanted.vcpus = job.vcpus;
    wanted.memory_bytes = memory.guest_bytes;

    Supervisor supervisor(site, wanted, memory.buffer_bytes, branch_name(job));
    auto end = supervisor.run(signals);
    if (!end)
        log::error("{}", end.error().message);
    else
        log::info("finished {}={}", end->signalled ? "signal" : "code", end->code);
    if (!end && end.error().kind == ErrorKind::busy && job.under_slurm) await_end_by_slurm(job, signals);
    forget_log();
    return end;
}

} // namespace tlc
