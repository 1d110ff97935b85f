// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/process.hpp>

#include <guest/start.hpp>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <unistd.h>

namespace tlc::guest {
namespace {

Result<Pipe> make_output_pipe(const Job& job) {
    TLC_TRY_ASSIGN(pipe, make_pipe());
    if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0 ||
        ::fchown(pipe.write.get(), job.uid, job.gid) != 0)
        return fail_errno(errno, "setting up an output pipe");
    return std::move(pipe);
}

enum Step : int { session, output, ids, directory, program };

struct Failure {
    int step, error_number;
};

[[noreturn]] void become_job(const Job& job, const char* path, char* const argv[], char* const environment[],
                             int out, int err, int report) {
    int step = session;
    auto give_up = [&] {
        const Failure failure{step, errno};
        (void)!::write(report, &failure, sizeof failure);
        ::_exit(127);
    };
    if (::setsid() < 0) give_up();
    for (int number = 1; number <= SIGRTMAX; ++number)
        (void)::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    step = output;
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) give_up();
    ::umask(job.umask);
    step = ids;
    if (::setgroups(job.groups.size(), job.groups.data()) != 0 ||
        ::setresgid(job.gid, job.gid, job.gid) != 0 || ::setresuid(job.uid, job.uid, job.uid) != 0)
        give_up();
    step = directory;
    if (::chdir(job.cwd.c_str()) != 0) give_up();
    step = program;
    ::execve(path, argv, environment);
    give_up();
    ::_exit(127);
}

tl::unexpected<Error> explain(const Job& job, const Failure& failure) {
    switch (failure.step) {
    case session:
        return fail_errno(failure.error_number, "starting the job's session");
    case output:
        return fail_errno(failure.error_number, "connecting the job's output");
    case ids:
        return fail_errno(failure.error_number, fmt::format("changing to the user {}", job.user));
    case directory:
        return fail_errno(failure.error_number, "entering the working directory " + job.cwd);
    default:
        break;
    }
    if (failure.error_number == ENOEXEC)
        return fail("the job script does not start with #! and the path of an interpreter");
    if (failure.error_number == ENOENT)
        return fail("the interpreter named in the job script's first line is not in the image; "
                    "add its package to the image");
    return fail_errno(failure.error_number, "running the job script");
}

} // namespace

Result<StartedJob> start_job(const Job& job, const std::string& program) {
    TLC_TRY_ASSIGN(out, make_output_pipe(job));
    Pipe err;
    if (!job.merge_output) {
        TLC_TRY_ASSIGN(made, make_output_pipe(job));
        err = std::move(made);
    }
    TLC_TRY_ASSIGN(report, make_pipe());
    const auto argv = pointers(job.argv), environment = pointers(job.environment);
    const int err_fd = job.merge_output ? out.write.get() : err.write.get();
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno(errno, "making the job's first process");
    if (pid == 0)
        become_job(job, program.c_str(), argv.data(), environment.data(), out.write.get(), err_fd,
                   report.write.get());
    report.write.reset();
    Failure failure{};
    ssize_t n;
    do
        n = ::read(report.read.get(), &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    if (n == static_cast<ssize_t>(sizeof failure)) {
        (void)::waitpid(pid, nullptr, 0);
        return explain(job, failure);
    }
    return StartedJob{pid, std::move(out.read), std::move(err.read)};
}

} // namespace tlc::guest
