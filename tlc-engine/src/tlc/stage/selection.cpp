// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/stage/selection.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

// A home directory may hold millions of files; past the limit it is not worth counting them all.
constexpr size_t count_no_further = 100'000;

class Walk {
  public:
    explicit Walk(const SelectionRequest& request) : request_(request) {}

    // One entry and, of a directory, all below it.
    Status add(const std::string& path, bool follow) {
        std::deque<std::pair<std::string, bool>> waiting{{path, follow}};
        while (!waiting.empty()) {
            auto [next, followed] = std::move(waiting.front());
            waiting.pop_front();
            if (next == "lost+found" || covered_by(next, request_.exclude)) continue;
            TLC_TRY_ASSIGN(is_directory, add_one(next, followed));
            if (!is_directory) continue;
            std::error_code error;
            for (fs::directory_iterator at(request_.cwd / next, error), end; !error && at != end;
                 at.increment(error)) {
                const std::string name = at->path().filename().string();
                waiting.emplace_back(next.empty() ? name : next + "/" + name, false);
            }
            if (error) return unreadable(next, error.value());
            if (found.bytes > request_.limit && found.entries.size() > count_no_further)
                return too_much("at least ");
        }
        return {};
    }

    // The directories on the way to a path of the list.
    Status add_parents(const std::string& path) {
        for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
            TLC_TRY(add_one(path.substr(0, slash), true));
        return {};
    }

    tl::unexpected<Error> too_much(std::string_view word) const {
        const auto what = request_.list.empty() ? "the working directory " + request_.cwd.string() + " holds"
                                                : std::string("the files named by --vm-stage-in make");
        return fail(ErrorKind::usage,
                    "{} {}{}, more than the limit of {} for files copied into the virtual machine; "
                    "name what the job needs with --vm-stage-in=LIST (files and directories below the "
                    "working directory, "
                    "with commas between), or ask the administrator for a larger stage_limit",
                    what, word, size_text(found.bytes), size_text(request_.limit));
    }

    Selection found;

  private:
    tl::unexpected<Error> unreadable(const std::string& path, int error) const {
        return in_context(fail_errno(error, (request_.cwd / path).string()).value(),
                          "cannot copy into the virtual machine (leave it out by naming what the job "
                          "needs with --vm-stage-in=LIST)");
    }

    // True for a directory.
    Result<bool> add_one(const std::string& path, bool follow) {
        struct stat info {};
        const fs::path whole = path.empty() ? request_.cwd : request_.cwd / path;
        if ((follow ? ::stat : ::lstat)(whole.c_str(), &info) != 0) {
            if (errno == ENOENT && !follow) return false; // gone since its directory was read
            if (errno == ENOENT)
                return fail(ErrorKind::usage, "--vm-stage-in names '{}', which is not in {}", path,
                            request_.cwd.string());
            return unreadable(path, errno);
        }
        if (path.empty()) return true;
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode) && !S_ISLNK(info.st_mode)) {
            found.skipped.push_back(path);
            return false;
        }
        if (S_ISREG(info.st_mode) && ::access(whole.c_str(), R_OK) != 0) return unreadable(path, errno);
        const bool is_new = found.entries.emplace(path, info).second;
        if (is_new && S_ISREG(info.st_mode)) found.bytes += static_cast<uint64_t>(info.st_size);
        return S_ISDIR(info.st_mode);
    }

    const SelectionRequest& request_;
};

} // namespace

Result<std::string> clean_relative(const std::string& path, std::string_view option) {
    const fs::path normal = fs::path(path).lexically_normal();
    std::string text = normal.string();
    while (text.size() > 1 && text.back() == '/')
        text.pop_back();
    if (text.empty() || normal.is_absolute() || *normal.begin() == "..")
        return fail(ErrorKind::usage,
                    "{} names '{}'; only paths below the job's working directory can be named, written "
                    "relative to it",
                    option, path);
    return text == "." ? std::string() : text;
}

bool covered_by(const std::string& path, const std::vector<std::string>& list) {
    return std::ranges::any_of(list, [&](const std::string& top) {
        return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
    });
}

Result<Selection> select_files(const SelectionRequest& request) {
    Walk walk(request);
    if (request.list.empty()) TLC_TRY(walk.add("", true));
    for (const auto& item : request.list) {
        TLC_TRY_ASSIGN(path, clean_relative(item, "--vm-stage-in"));
        TLC_TRY(walk.add_parents(path));
        TLC_TRY(walk.add(path, true));
    }
    if (walk.found.bytes > request.limit) return walk.too_much("");
    return std::move(walk.found);
}

} // namespace tlc
