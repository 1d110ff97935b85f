// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/engine_answer.hpp>
#include <tlc/supervisor/engine_process.hpp>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace tlc {

Result<EngineProcess> EngineProcess::start(const std::filesystem::path& program,
                                           std::vector<std::string> arguments, int log_fd) {
    TLC_TRY_ASSIGN(requests, make_pipe());
    TLC_TRY_ASSIGN(answers, make_pipe());
    ::fcntl(answers.read.get(), F_SETFL, O_NONBLOCK);
    // Requests are short; an engine that takes none must not hold up the job.
    ::fcntl(requests.write.get(), F_SETFL, O_NONBLOCK);
    arguments.insert(arguments.begin(), program.string());
    SpawnOptions options;
    options.stdin_fd = requests.read.get();
    options.stdout_fd = answers.write.get();
    options.stderr_fd = log_fd;
    TLC_TRY_ASSIGN(child, spawn(arguments, options));
    return EngineProcess(std::move(child), std::move(requests.write), std::move(answers.read));
}

bool EngineProcess::stalled(std::chrono::seconds limit) {
    const auto now = std::chrono::steady_clock::now();
    const uint64_t activity = child_.activity();
    if (activity != std::exchange(activity_, activity)) last_activity_ = now;
    return now - last_activity_ > limit;
}

void EngineProcess::ask(const nlohmann::json& request) {
    last_activity_ = std::chrono::steady_clock::now();
    // A pipe without a reader raises SIGPIPE, which must not end the job.
    const auto before = ::signal(SIGPIPE, SIG_IGN);
    const std::string line = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    if (!write_all(writer_.get(), std::as_bytes(std::span(line)))) child_.kill_and_reap();
    ::signal(SIGPIPE, before);
}

std::optional<Result<nlohmann::json>> EngineProcess::take_line() {
    char buffer[1 << 12];
    for (;;) {
        const ssize_t n = ::read(reader_.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text_.append(buffer, static_cast<size_t>(n));
    }
    const auto end = text_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    const std::string line = text_.substr(0, end);
    text_.erase(0, end + 1);
    return parse_engine_answer(line);
}

std::optional<Result<nlohmann::json>> EngineProcess::poll() {
    if (auto answer = take_line()) return answer;
    if (!child_.running()) return fail("the checkpoint engine takes no requests");
    const auto status = child_.poll();
    if (!status) return std::nullopt;
    if (auto answer = take_line()) return answer; // printed just before the end
    return fail("the checkpoint engine ended with {} and no answer", status->text());
}

Result<nlohmann::json> EngineProcess::wait(std::chrono::seconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
        if (auto answer = poll()) return std::move(*answer);
        pollfd wanted{reader_.get(), POLLIN, 0};
        if (::poll(&wanted, 1, 50) > 0) ::usleep(2000);
    }
    child_.kill_and_reap();
    return fail("the checkpoint engine gave no answer within {} s", limit.count());
}

} // namespace tlc
