// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>
#include <tlc/disk/image_files.hpp>
#include <tlc/disk/plain.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <set>
#include <system_error>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view qcow2_magic = "QFI\xfb";

struct Header {
    std::string backing; // empty: none
    uint64_t size = 0;
};

uint64_t big_endian(std::span<const std::byte> bytes) {
    uint64_t value = 0;
    for (const auto byte : bytes)
        value = value << 8 | static_cast<uint64_t>(byte);
    return value;
}

// The start of the qcow2 format, see docs/interop/qcow2.txt in QEMU's source.
Result<Header> read_header(const fs::path& path) {
    TLC_TRY_ASSIGN(file, open_file(path, O_RDONLY));
    std::array<std::byte, 32> fixed{};
    const auto damaged = [&](std::string_view why) {
        return fail(ErrorKind::damaged, "{} is not a qcow2 image: {}", path.string(), why);
    };
    if (auto read = read_at(file.get(), fixed, 0); !read) return damaged(read.error().message);
    const std::span<const std::byte> bytes(fixed);
    if (std::memcmp(bytes.data(), qcow2_magic.data(), qcow2_magic.size()) != 0)
        return damaged("it has no magic number");
    Header header;
    header.size = big_endian(bytes.subspan(24, 8));
    const uint64_t offset = big_endian(bytes.subspan(8, 8));
    const uint64_t length = big_endian(bytes.subspan(16, 4));
    if (offset == 0) return header;
    if (length > 1023) return damaged("the name of its backing file is too long");
    header.backing.resize(length);
    const auto name = std::as_writable_bytes(std::span(header.backing));
    if (auto read = read_at(file.get(), name, offset); !read) return damaged(read.error().message);
    return header;
}

std::optional<uint64_t> parse_number(std::string_view digits) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    // Only as overlay_name() writes it.
    if (error != std::errc{} || end != digits.data() + digits.size() || digits.front() == '0') return {};
    return number;
}

} // namespace

Result<std::string> guest_image_format(const fs::path& image) {
    TLC_TRY_ASSIGN(file, open_file(image, O_RDONLY));
    std::array<char, qcow2_magic.size()> start{};
    const ssize_t got = ::pread(file.get(), start.data(), start.size(), 0);
    if (got < 0) return fail_errno(errno, fmt::format("cannot read {}", image.string()));
    return std::string_view(start.data(), static_cast<size_t>(got)) == qcow2_magic ? "qcow2" : "raw";
}

std::string overlay_name(const std::string& drive, uint64_t number) {
    return fmt::format("{}-{}.qcow2", drive, number);
}

Result<DiskImage> parse_image_name(const std::string& file) {
    const fs::path path(file);
    const std::string stem = path.stem().string();
    const bool overlay = path.extension() == ".qcow2";
    if ((!overlay && path.extension() != ".img") || stem.empty() || path.has_parent_path())
        return fail("\"{}\" is not the name of a VM's image", file);
    const auto dash = stem.rfind('-');
    if (overlay && dash != std::string::npos && dash > 0 && dash + 1 < stem.size())
        if (const auto number = parse_number(std::string_view(stem).substr(dash + 1)))
            return DiskImage{stem.substr(0, dash), *number, file};
    return DiskImage{stem, 0, file};
}

Result<std::vector<std::string>> file_names(const fs::path& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
        const auto type = at->symlink_status(error).type();
        if (type == fs::file_type::none) break; // an error, which increment() would forget
        if (type == fs::file_type::regular) names.push_back(at->path().filename().string());
    }
    if (error) return fail_errno(error.value(), fmt::format("cannot list {}", directory.string()));
    std::sort(names.begin(), names.end());
    return names;
}

Result<DiskFiles> list_disk_files(const fs::path& directory) {
    TLC_TRY_ASSIGN(names, file_names(directory));
    DiskFiles files;
    for (const auto& name : names) {
        auto image = parse_image_name(name);
        if (!image) {
            files.appended.push_back(name);
            continue;
        }
        auto& newest = files.newest.try_emplace(image->drive, *image).first->second;
        if (image->number > newest.number) newest = *image;
        files.highest = std::max(files.highest, image->number);
        files.images.push_back(std::move(*image));
    }
    return files;
}

Result<DiskImage> newest_image(const fs::path& directory, const std::string& drive) {
    TLC_TRY_ASSIGN(files, list_disk_files(directory));
    const auto found = files.newest.find(drive);
    if (found != files.newest.end()) return found->second;
    return fail(ErrorKind::damaged, "{} holds no image of the drive {}", directory.string(), drive);
}

Result<uint64_t> virtual_size(const fs::path& directory, const DiskImage& image) {
    const auto path = directory / image.file;
    if (!image.raw()) {
        TLC_TRY_ASSIGN(header, read_header(path));
        return header.size;
    }
    return size_of_file(path);
}

Result<ImageChain> read_chain(const fs::path& directory, const DiskImage& top) {
    ImageChain chain;
    chain.images.push_back(top);
    while (!chain.images.back().raw()) {
        const auto& image = chain.images.back();
        TLC_TRY_ASSIGN(header, read_header(directory / image.file));
        if (header.backing.empty()) return chain;
        ++chain.overlays;
        chain.bottom = header.backing;
        if (header.backing.starts_with('/')) return chain;
        auto below = parse_image_name(header.backing);
        // Numbers that only fall make an end.
        if (!below || below->drive != image.drive || below->number >= image.number)
            return fail(ErrorKind::damaged, "{} lies over \"{}\", which is no older image of the same drive",
                        (directory / image.file).string(), header.backing);
        chain.images.push_back(std::move(*below));
    }
    return chain;
}

Status make_overlay(const fs::path& directory, const DiskImage& below, const DiskImage& overlay) {
    TLC_TRY_ASSIGN(size, virtual_size(directory, below));
    const auto path = directory / overlay.file;
    TLC_TRY(must_be_free(path));
    // -u: the image below is not opened, a VM may have it locked.
    TLC_TRY_ASSIGN(output,
                   run({"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-o", "lazy_refcounts=off", "-F",
                        below.format(), "-b", below.file, path.string(), fmt::format("{}", size)}));
    if (output.status.code == 0) return {};
    ::unlink(path.c_str());
    return fail("qemu-img cannot make {} ({}): {}", path.string(), output.status.text(), output.text);
}

Result<std::vector<std::string>> remove_unused_images(const fs::path& directory) {
    TLC_TRY_ASSIGN(files, list_disk_files(directory));
    std::set<std::string> used;
    for (const auto& [drive, newest] : files.newest) {
        TLC_TRY_ASSIGN(chain, read_chain(directory, newest));
        for (const auto& image : chain.images)
            used.insert(image.file);
    }
    std::sort(files.images.begin(), files.images.end(),
              [](const auto& a, const auto& b) { return a.number > b.number; });
    std::vector<std::string> removed;
    for (const auto& image : files.images) {
        if (used.contains(image.file)) continue;
        const auto path = directory / image.file;
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            return fail_errno(errno, fmt::format("cannot remove {}", path.string()));
        removed.push_back(image.file);
    }
    return removed;
}

} // namespace tlc
