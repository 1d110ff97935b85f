// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sstream>
#include <unistd.h>

extern char** environ;

namespace tlc {
namespace {

ExitStatus decode(int status) {
    if (WIFSIGNALED(status)) return {true, 128 + WTERMSIG(status)};
    return {false, WEXITSTATUS(status)};
}

struct Actions {
    posix_spawn_file_actions_t value;
    Actions() { posix_spawn_file_actions_init(&value); }
    Actions(const Actions&) = delete;
    Actions& operator=(const Actions&) = delete;
    ~Actions() { posix_spawn_file_actions_destroy(&value); }
};

struct Attributes {
    posix_spawnattr_t value;
    Attributes() { posix_spawnattr_init(&value); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    ~Attributes() { posix_spawnattr_destroy(&value); }
};

} // namespace

std::string ExitStatus::text() const {
    if (signalled) return fmt::format("signal {} ({})", code - 128, strsignal(code - 128));
    return fmt::format("exit code {}", code);
}

Child& Child::operator=(Child&& other) noexcept {
    if (this != &other) {
        kill_and_reap();
        pid_ = std::exchange(other.pid_, -1);
    }
    return *this;
}

std::optional<ExitStatus> Child::poll() {
    if (pid_ <= 0) return std::nullopt;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    pid_ = -1;
    return decode(status);
}

ExitStatus Child::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return decode(status);
}

void Child::signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
}

void Child::kill_and_reap() {
    if (pid_ <= 0) return;
    signal(SIGKILL);
    constexpr timespec pause{0, 10'000'000};
    for (int tries = 0; tries < 500; ++tries) {
        if (poll()) return;
        ::nanosleep(&pause, nullptr);
    }
    pid_ = -1;
}

uint64_t Child::activity() const {
    if (pid_ <= 0) return 0;
    uint64_t sum = 0;
    // "pid (name) state ppid ...": the 14th and 15th fields are clock ticks in user and kernel mode.
    if (const auto stat = read_text(fmt::format("/proc/{}/stat", pid_))) {
        std::istringstream fields(stat->substr(std::min(stat->rfind(')') + 1, stat->size())));
        std::string field;
        for (int n = 3; n <= 15 && fields >> field; ++n)
            if (n >= 14) sum += std::strtoull(field.c_str(), nullptr, 10);
    }
    if (const auto io = read_text(fmt::format("/proc/{}/io", pid_))) {
        std::istringstream lines(*io);
        std::string name;
        uint64_t bytes = 0;
        while (lines >> name >> bytes)
            sum += bytes;
    }
    return sum;
}

uint64_t Child::resident() const {
    const auto text = pid_ > 0 ? read_text(fmt::format("/proc/{}/statm", pid_)) : Result<std::string>();
    if (!text) return 0;
    // In pages: size, resident, ...
    std::istringstream fields(*text);
    uint64_t size = 0;
    uint64_t pages = 0;
    fields >> size >> pages;
    return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<Child> spawn(const std::vector<std::string>& argv, const SpawnOptions& options) {
    Actions actions;
    if (options.stdin_fd >= 0)
        posix_spawn_file_actions_adddup2(&actions.value, options.stdin_fd, 0);
    else
        posix_spawn_file_actions_addopen(&actions.value, 0, "/dev/null", O_RDONLY, 0);
    if (options.stdout_fd >= 0) posix_spawn_file_actions_adddup2(&actions.value, options.stdout_fd, 1);
    if (options.stderr_fd >= 0) posix_spawn_file_actions_adddup2(&actions.value, options.stderr_fd, 2);
    for (const int fd : options.keep)
        posix_spawn_file_actions_adddup2(&actions.value, fd, fd);

    Attributes attributes;
    sigset_t blocked;
    sigemptyset(&blocked);
    if (options.block_termination)
        for (const int number : {SIGTERM, SIGINT, SIGHUP})
            sigaddset(&blocked, number);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD})
        sigaddset(&defaults, number);
    posix_spawnattr_setsigmask(&attributes.value, &blocked);
    posix_spawnattr_setsigdefault(&attributes.value, &defaults);
    posix_spawnattr_setflags(&attributes.value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    const auto arguments = pointers(argv);
    const auto variables = options.environment ? pointers(*options.environment) : std::vector<char*>{};
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, argv.front().c_str(), &actions.value, &attributes.value,
                                     arguments.data(), options.environment ? variables.data() : environ);
    if (error == ENOENT) return fail(ErrorKind::incompatible, "there is no {} here", argv.front());
    if (error != 0) return fail_errno(error, fmt::format("cannot start {}", argv.front()));
    return Child(pid);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> out;
    out.reserve(strings.size() + 1);
    for (const auto& text : strings)
        out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

std::string shell_line(const std::vector<std::string>& words) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:@%+";
    std::string line;
    for (const auto& word : words) {
        if (!line.empty()) line += ' ';
        if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
            line += word;
            continue;
        }
        line += '\'';
        for (const char c : word)
            line += c == '\'' ? std::string("'\\''") : std::string(1, c);
        line += '\'';
    }
    return line;
}

Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
    return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<Output> run(const std::vector<std::string>& argv, bool with_stderr, std::chrono::seconds limit,
                   std::optional<std::vector<std::string>> environment) {
    TLC_TRY_ASSIGN(pipe, make_pipe());
    SpawnOptions options;
    options.stdout_fd = pipe.write.get();
    if (with_stderr) options.stderr_fd = pipe.write.get();
    options.environment = std::move(environment);
    TLC_TRY_ASSIGN(child, spawn(argv, options));
    pipe.write.reset();

    Output output;
    const auto end = std::chrono::steady_clock::now() + limit;
    char buffer[1 << 14];
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        pollfd wanted{pipe.read.get(), POLLIN, 0};
        const int ready = left.count() > 0 ? ::poll(&wanted, 1, static_cast<int>(left.count())) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return fail("{} did not end within {} s", argv.front(), limit.count());
        const ssize_t n = ::read(pipe.read.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        output.text.append(buffer, static_cast<size_t>(n));
    }
    output.status = child.wait();
    return output;
}

std::string host_name() {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

} // namespace tlc
