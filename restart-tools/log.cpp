// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/log_line.hpp>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

#include "commands.hpp"

namespace tlc {
namespace {

constexpr std::chrono::milliseconds follow_every{500};
// From the job's end to the last line of its log.
constexpr std::chrono::seconds last_words{5};

// A file that grows, a line at a time. Jobs that ended are set aside under another name; it stays with the
// file.
class GrowingLines {
  public:
    explicit GrowingLines(Fd file) : file_(std::move(file)) {}

    // The next whole line without its end; nothing: there is no further one yet.
    Result<std::optional<std::string>> next() {
        for (;;) {
            if (const auto end = text_.find('\n', searched_); end != std::string::npos) {
                std::string line = text_.substr(0, end);
                text_.erase(0, end + 1);
                searched_ = 0;
                return line;
            }
            searched_ = text_.size();
            std::array<char, 1 << 14> buffer{};
            const ssize_t n = ::read(file_.get(), buffer.data(), buffer.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_errno(errno, "read the job's log");
            if (n == 0) return std::optional<std::string>{};
            text_.append(buffer.data(), static_cast<size_t>(n));
        }
    }
    // What stands after the last whole line.
    std::string rest() { return std::exchange(text_, {}); }

  private:
    Fd file_;
    std::string text_;
    size_t searched_ = 0;
};

const char* colour(log::Level level) {
    if (level == log::Level::error) return "\033[31m";
    return level == log::Level::warning ? "\033[33m" : "";
}

class Printer {
  public:
    explicit Printer(const LogOptions& options)
        : options_(options), coloured_(::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr) {}

    void print(const std::string& text) const {
        const auto line = log::parse_line(text);
        // What is torn is shown to people, whatever they asked for: it may be the last word of a node.
        if (line && line->level < options_.from) return;
        if (options_.json) return print_json(text, line);
        const char* begin = coloured_ && line ? colour(line->level) : "";
        fmt::print("{}{}{}\n", begin, printable(text), *begin != '\0' ? "\033[0m" : "");
    }

  private:
    // A job's directory is its user's, who may have written anything there.
    static std::string printable(std::string text) {
        for (char& c : text)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
        return text;
    }
    static void print_json(const std::string& text, const std::optional<log::Line>& line) {
        nlohmann::json object;
        if (line) {
            object = {{"time", line->time},
                      {"level", log::level_name(line->level)},
                      {"message", line->message},
                      {"text", line->text},
                      {"fields", nlohmann::json::object()}};
            for (const auto& [name, value] : line->fields)
                object["fields"][name] = value;
        } else {
            object = {{"message", text}};
        }
        fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }

    const LogOptions& options_;
    bool coloured_;
};

} // namespace

Status show_log(const JobDirectory& job, const LogOptions& options) {
    Fd file(::open(job.log_file().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) return fail_errno(errno, fmt::format("open {}", job.log_file().string()));
    struct stat info {};
    if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode))
        return fail("{} is no regular file", job.log_file().string());
    GrowingLines lines(std::move(file));
    const Printer printer(options);
    bool finished = false;
    auto until = std::chrono::steady_clock::time_point::max();
    for (;;) {
        // Asked before the reading: what was written until then is read.
        const auto now = std::chrono::steady_clock::now();
        const bool ended = job_state(job) != "unfinished";
        until = ended ? std::min(until, now + last_words) : std::chrono::steady_clock::time_point::max();
        for (;;) {
            TLC_TRY_ASSIGN(line, lines.next());
            if (!line) break;
            printer.print(*line);
            finished = line->find(" info finished ") != std::string::npos;
        }
        if (!options.follow || (ended && finished) || now >= until) break;
        if (std::fflush(stdout) != 0) return fail_errno(errno, "write the log");
        std::this_thread::sleep_for(follow_every);
    }
    if (const auto torn = lines.rest(); !torn.empty()) printer.print(torn);
    return {};
}

} // namespace tlc
