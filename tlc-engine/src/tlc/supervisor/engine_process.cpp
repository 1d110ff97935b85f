// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/supervisor/engine_process.hpp>

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace tlc {
namespace {

Result<nlohmann::json> verdict(const ExitStatus& status, const std::string& text) {
    auto answer = nlohmann::json::parse(text, nullptr, false);
    if (status.code == 0 && answer.is_object()) return answer;
    if (answer.is_object() && answer.contains("error") && answer["error"].is_string()) {
        const bool known = !status.signalled && status.code >= 1 && status.code <= 7;
        return fail(known ? static_cast<ErrorKind>(status.code) : ErrorKind::failed, "{}",
                    answer["error"].get<std::string>());
    }
    return fail("the checkpoint engine ended with {} and no answer", status.text());
}

} // namespace

Result<EngineProcess> EngineProcess::start(const std::filesystem::path& program,
                                           std::vector<std::string> arguments, int log_fd) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    Fd reader(ends[0]);
    const Fd writer(ends[1]);
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    arguments.insert(arguments.begin(), program.string());
    arguments.emplace_back("--json");
    SpawnOptions options;
    options.stdout_fd = writer.get();
    options.stderr_fd = log_fd;
    TLC_TRY_ASSIGN(child, spawn(arguments, options));
    return EngineProcess(std::move(child), std::move(reader));
}

std::optional<Result<nlohmann::json>> EngineProcess::poll() {
    char buffer[1 << 12];
    for (;;) {
        const ssize_t n = ::read(reader_.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text_.append(buffer, static_cast<size_t>(n));
    }
    const auto status = child_.poll();
    if (!status) return std::nullopt;
    for (ssize_t n = 0; (n = ::read(reader_.get(), buffer, sizeof buffer)) > 0;)
        text_.append(buffer, static_cast<size_t>(n));
    return verdict(*status, text_);
}

Result<nlohmann::json> EngineProcess::wait(std::chrono::seconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
        if (auto answer = poll()) return std::move(*answer);
        pollfd wanted{reader_.get(), POLLIN, 0};
        if (::poll(&wanted, 1, 50) > 0) ::usleep(2000);
    }
    child_.kill_and_reap();
    return fail("the checkpoint engine did not end within {} s", limit.count());
}

} // namespace tlc
