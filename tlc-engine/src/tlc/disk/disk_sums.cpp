// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
#include <tlc/disk/disk_sums.hpp>
#include <tlc/disk/extents.hpp>
#include <tlc/disk/line_reader.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>

namespace tlc {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view first_line = "TLC-DISK-SUMS 1";
constexpr size_t largest_text = size_t{256} << 20;
constexpr uint64_t largest_file = uint64_t{1} << 46;

uint64_t stretches_of(uint64_t size) { return (size + disk_stretch - 1) / disk_stretch; }

struct OpenFile {
    Fd fd;
    uint64_t size = 0;
    std::optional<std::vector<Extent>> extents;
};

Result<OpenFile> open_frozen(const fs::path& path) {
    TLC_TRY_ASSIGN(fd, open_file(path, O_RDONLY | O_NOFOLLOW));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0)
        return fail_errno(errno, fmt::format("cannot look at {}", path.string()));
    if (!S_ISREG(info.st_mode)) return fail(ErrorKind::damaged, "{} is not a regular file", path.string());
    OpenFile file{std::move(fd), static_cast<uint64_t>(info.st_size), std::nullopt};
    file.extents = extents_of(file.fd.get());
    return file;
}

// The checksum of the stretch; holes are not read.
class StretchReader {
  public:
    explicit StretchReader(const OpenFile& file)
        : file_(file), walk_(file.extents ? *file.extents : none_), buffer_(disk_stretch) {}

    Result<Checksum> next() {
        const uint64_t start = number_++ * disk_stretch;
        const std::span<std::byte> bytes(buffer_.data(), std::min(disk_stretch, file_.size - start));
        here_ = walk_.in(start, bytes.size());
        const bool hole = file_.extents && std::all_of(here_.begin(), here_.end(),
                                                       [](const Extent& e) { return e.unwritten; });
        if (hole) return zeros(bytes.size());
        TLC_TRY(read_at(file_.fd.get(), bytes, start));
        read_ += bytes.size();
        return checksum(bytes);
    }
    // Instead of next(): nothing is read.
    void skip() { ++number_; }
    // Where the next stretch lies.
    std::vector<Extent> place() {
        const uint64_t start = number_ * disk_stretch;
        return walk_.in(start, std::min(disk_stretch, file_.size - start));
    }
    uint64_t read() const { return read_; }

  private:
    // Most stretches of most disks.
    static Checksum zeros(size_t size) {
        static const std::vector<std::byte> bytes(disk_stretch);
        static const Checksum whole = checksum(bytes);
        return size == disk_stretch ? whole : checksum(std::span(bytes).first(size));
    }

    const OpenFile& file_;
    const std::vector<Extent> none_;
    ExtentWalk walk_;
    std::vector<std::byte> buffer_;
    std::vector<Extent> here_;
    uint64_t number_ = 0;
    uint64_t read_ = 0;
};

bool same_place(const std::vector<Extent>& a, const std::vector<Extent>& b) {
    return !a.empty() && a == b && std::all_of(a.begin(), a.end(), [](const Extent& e) { return e.fixed; });
}

Result<DiskSums::File> sum_file(const fs::path& path, const SummedDisk* before, uint64_t& read) {
    TLC_TRY_ASSIGN(file, open_frozen(path));
    std::optional<OpenFile> old;
    const DiskSums::File* known = nullptr;
    if (before != nullptr && file.extents) {
        const auto found = before->sums.files.find(path.filename().string());
        auto opened = open_frozen(before->snapshot / path.filename());
        if (found != before->sums.files.end() && opened && opened->extents &&
            opened->size == found->second.size) {
            known = &found->second;
            old = std::move(*opened);
        }
    }
    const std::vector<Extent> none;
    ExtentWalk old_walk(old ? *old->extents : none);
    StretchReader reader(file);
    DiskSums::File sums{file.size, {}};
    for (uint64_t n = 0; n < stretches_of(file.size); ++n) {
        const uint64_t start = n * disk_stretch;
        // A last stretch of another length has another checksum.
        const bool comparable =
            known != nullptr && std::min(disk_stretch, file.size - start) ==
                                    std::min(disk_stretch, old->size - std::min(start, old->size));
        if (comparable && same_place(reader.place(), old_walk.in(start, disk_stretch))) {
            sums.stretches.push_back(known->stretches[n]);
            reader.skip();
            continue;
        }
        auto sum = reader.next();
        if (!sum) return in_context(sum.error(), fmt::format("cannot read {}", path.string()));
        sums.stretches.push_back(*sum);
    }
    read += reader.read();
    return sums;
}

Result<std::vector<fs::path>> files_of(const fs::path& snapshot) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator at(snapshot, error), end; !error && at != end; at.increment(error))
        paths.push_back(at->path());
    if (error) return fail_errno(error.value(), fmt::format("cannot list {}", snapshot.string()));
    return paths;
}

} // namespace

Result<DiskSums> sum_disk(const fs::path& snapshot, const SummedDisk* before, uint64_t* read) {
    TLC_TRY_ASSIGN(paths, files_of(snapshot));
    DiskSums sums;
    uint64_t bytes = 0;
    for (const auto& path : paths) {
        TLC_TRY_ASSIGN(file, sum_file(path, before, bytes));
        sums.files[path.filename().string()] = std::move(file);
    }
    if (read != nullptr) *read = bytes;
    return sums;
}

Status check_disk(const fs::path& snapshot, const DiskSums& sums,
                  const std::function<void(uint64_t)>& progress) {
    uint64_t done = 0;
    for (const auto& [name, wanted] : sums.files) {
        auto file = open_frozen(snapshot / name);
        if (!file) return fail(ErrorKind::damaged, "{}", file.error().message);
        if (file->size != wanted.size)
            return fail(ErrorKind::damaged, "{} has {} bytes instead of {}", (snapshot / name).string(),
                        file->size, wanted.size);
        StretchReader reader(*file);
        for (size_t n = 0; n < wanted.stretches.size(); ++n) {
            const auto sum = reader.next();
            if (!sum)
                return fail(ErrorKind::damaged, "{}: {}", (snapshot / name).string(), sum.error().message);
            if (*sum != wanted.stretches[n])
                return fail(ErrorKind::damaged, "{}: bytes {} to {} are not what was saved",
                            (snapshot / name).string(), n * disk_stretch,
                            std::min(wanted.size, (n + 1) * disk_stretch) - 1);
            done += disk_stretch;
            if (progress) progress(done);
        }
    }
    return {};
}

std::string disk_sums_text(const DiskSums& sums) {
    std::string text = fmt::format("{}\n", first_line);
    for (const auto& [name, file] : sums.files) {
        text += fmt::format("file {} {}\n", file.size, name);
        for (const auto& sum : file.stretches)
            text += sum.text() + "\n";
    }
    return text;
}

Result<DiskSums> parse_disk_sums(std::string_view text) {
    const auto damaged = [](std::string_view why) {
        return fail(ErrorKind::damaged, "the disk's checksums are unreadable: {}", why);
    };
    LineReader reader(text);
    if (!reader.next_is(first_line) || !reader.line_done()) return damaged("wrong first line");
    DiskSums sums;
    while (!reader.at_end()) {
        if (!reader.next_is("file ")) return damaged("a file was expected");
        const auto size = reader.number();
        if (!size || *size > largest_file) return damaged("no size");
        const auto name = reader.name();
        if (!name || sums.files.contains(*name)) return damaged("an impossible file name");
        auto& file = sums.files[*name];
        file.size = *size;
        for (uint64_t left = stretches_of(*size); left > 0; --left) {
            const auto sum = reader.next() ? reader.sum() : std::nullopt;
            if (!sum || !reader.line_done()) return damaged("a checksum was expected");
            file.stretches.push_back(*sum);
        }
    }
    return sums;
}

Result<DiskSums> read_disk_sums(const fs::path& file, std::string_view digest) {
    const auto text = read_text(file, largest_text);
    if (!text) return fail(ErrorKind::damaged, "{}", text.error().message);
    if (checksum(std::as_bytes(std::span(*text))).text() != digest)
        return fail(ErrorKind::damaged, "{} does not match the manifest", file.string());
    auto sums = parse_disk_sums(*text);
    if (!sums) return in_context(sums.error(), file.string());
    return sums;
}

} // namespace tlc
