// SPDX-License-Identifier: GPL-2.0-or-later
// Child processes by posix_spawn. A Child is killed (SIGKILL) and reaped when its owner drops it; one that
// the kernel cannot end, because it waits for a dead disk, is left behind after a while.
// Thread-safe as long as one Child is used by one thread.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/base/result.hpp>

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

struct SpawnOptions {
    int stdin_fd = -1;     // -1: /dev/null
    int stdout_fd = -1;    // -1: inherited
    int stderr_fd = -1;    // -1: inherited
    std::vector<int> keep; // further descriptors the child keeps, under the same numbers
    std::optional<std::vector<std::string>> environment; // "NAME=value"; nothing: inherited
    bool block_termination = false; // TERM, INT, HUP blocked in the child from its first instruction
};

// How a process ended. code is the exit code, or 128 + signal.
struct ExitStatus {
    bool signalled = false;
    int code = 0;
    std::string text() const; // "exit code 3" or "signal 9 (Killed)"
};

class Child {
  public:
    Child() = default;
    explicit Child(pid_t pid) : pid_(pid) {}
    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    Child& operator=(Child&& other) noexcept;
    ~Child() { kill_and_reap(); }

    pid_t pid() const { return pid_; }
    bool running() const { return pid_ > 0; }
    // The exit status if it has ended (then it is reaped), nothing while it runs.
    std::optional<ExitStatus> poll();
    ExitStatus wait();
    void signal(int number) const;
    void kill_and_reap();
    // Processor time and bytes of input and output so far, added up: a number that stands still while the
    // process does nothing. 0 once it has ended.
    uint64_t activity() const;
    // Memory in use, in bytes; 0 once it has ended.
    uint64_t resident() const;

  private:
    pid_t pid_ = -1;
};

// Starts argv[0] (looked up in PATH). The error names it and says why.
Result<Child> spawn(const std::vector<std::string>& argv, const SpawnOptions& options = {});

struct Pipe {
    Fd read;
    Fd write;
};
// Both ends are closed in programs that are started.
Result<Pipe> make_pipe();

// As execve(2) takes them, with a null pointer at the end; good as long as the strings are.
std::vector<char*> pointers(const std::vector<std::string>& strings);

// The words as a POSIX shell would read them again: quoted where they need it, spaces between.
std::string shell_line(const std::vector<std::string>& words);

struct Output {
    ExitStatus status;
    std::string text; // stdout and, when asked for, stderr
};

// Runs a program to its end and returns what it printed; beyond `limit` it is killed and that is an error.
// `environment` ("NAME=value") takes the place of our own.
Result<Output> run(const std::vector<std::string>& argv, bool with_stderr = true,
                   std::chrono::seconds limit = std::chrono::seconds(60),
                   std::optional<std::vector<std::string>> environment = std::nullopt);

// gethostname(2): under Slurm the node's name.
std::string host_name();

} // namespace tlc
