// SPDX-License-Identifier: GPL-2.0-or-later
#include "chain_disk.hpp"

#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>

#include <sys/syscall.h>

#include <fcntl.h>
#include <unistd.h>

#include "contents.hpp"

namespace tlc::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t header_size = 512; // with the name of the image below, as stand_in_qemu_img.c writes it
constexpr const char* guest_image = "/guest.ext4";

std::string written_at(const std::string& drive, uint64_t step) {
    return random_text(step * 2 + (drive == "root"), 800 + step % 7);
}

// Each run has its own one, ten, hundred or thousand of steps.
uint64_t first_of_run(uint64_t step) {
    uint64_t first = 1;
    while (step >= first * 10)
        first *= 10;
    return first;
}

std::string header_over(const std::string& below) {
    std::string header(header_size, '\0');
    header.replace(0, 4, "QFI\xfb");
    header[15] = 104;
    header[18] = static_cast<char>(below.size() >> 8);
    header[19] = static_cast<char>(below.size());
    header.replace(104, below.size(), below);
    return header;
}

Result<std::string> data_of(const fs::path& directory, const DiskImage& image) {
    TLC_TRY_ASSIGN(text, read_text(directory / image.file));
    if (image.raw()) return text;
    if (text.size() < header_size) return fail("{} is too short", image.file);
    return text.substr(header_size);
}

Result<std::string> data_of(const fs::path& directory, std::span<const DiskImage> newest_first) {
    std::string all;
    for (const auto& image : newest_first) {
        TLC_TRY_ASSIGN(data, data_of(directory, image));
        all.insert(0, data);
    }
    return all;
}

} // namespace

std::map<std::string, std::string> drives_at(uint64_t step) {
    std::map<std::string, std::string> drives;
    for (const char* drive : {"root", "work"})
        for (uint64_t s = first_of_run(step); s <= step; ++s)
            drives[drive] += written_at(drive, s);
    return drives;
}

Result<std::map<std::string, std::string>> read_drives(const fs::path& directory) {
    TLC_TRY_ASSIGN(files, list_disk_files(directory));
    std::map<std::string, std::string> drives;
    for (const auto& [drive, newest] : files.newest) {
        TLC_TRY_ASSIGN(chain, read_chain(directory, newest));
        TLC_TRY_ASSIGN(data, data_of(directory, chain.images));
        drives[drive] = std::move(data);
    }
    return drives;
}

Status ChainDisk::create_live(const fs::path& live) {
    live_ = live;
    active_ = {{"root", "root.qcow2"}, {"work", "work.img"}};
    TLC_TRY(disk_.create_live(live));
    for (const auto& [drive, file] : active_)
        TLC_TRY(write(file, 0, drive == "root" ? header_over(guest_image) : ""));
    return {};
}

Status ChainDisk::write(const std::string& file, uint64_t offset, const std::string& text) {
    Status written = fail("the VM waits");
    for (int attempt = 0; !waits_ && !written && attempt < 3; ++attempt) {
        const auto opened = open_file(live_ / file, O_WRONLY | O_CREAT);
        written = opened ? write_at(opened->get(), std::as_bytes(std::span(text)), offset)
                         : Status(tl::unexpected<Error>(opened.error()));
    }
    waits_ = !written;
    const auto parsed = parse_image_name(file);
    size_[parsed ? parsed->drive : ""] = offset + text.size();
    return written;
}

Status ChainDisk::freeze(const fs::path& to, uint64_t step) {
    const auto prepared = disk_.prepare(live_, to, *this);
    // Those of steps whose checkpoint did not come so far, too.
    for (next_ = std::max(next_, first_of_run(step)); next_ <= step; ++next_)
        for (const auto& [drive, file] : active_)
            TLC_TRY(write(file, size_[drive], written_at(drive, next_)));
    if (!prepared) return prepared;
    return disk_.snapshot(live_, to, *this);
}

Result<std::string> ChainDisk::active(const std::string& drive) { return active_.at(drive); }

// qemu-img is not watched: what it has written is written once more, so that it is in the journal.
Status ChainDisk::add(const fs::path& overlay) {
    TLC_TRY_ASSIGN(header, read_text(overlay));
    ::syscall(SYS_unlink, overlay.c_str());
    TLC_TRY_ASSIGN(file, open_file(overlay, O_WRONLY | O_CREAT | O_EXCL));
    return write_all(file.get(), std::as_bytes(std::span(header)));
}

Status ChainDisk::switch_all(const std::vector<Change>& changes) {
    for (const auto& change : changes)
        for (auto& [drive, file] : active_)
            if (file == change.from) {
                file = change.to;
                size_[drive] = header_size;
            }
    return {};
}

Status ChainDisk::merge() {
    for (const auto& [drive, file] : active_)
        TLC_TRY(merge(drive));
    return {};
}

Status ChainDisk::merge(const std::string& drive) {
    TLC_TRY_ASSIGN(newest, newest_image(live_, drive));
    TLC_TRY_ASSIGN(top, parse_image_name(active_.at(drive)));
    TLC_TRY_ASSIGN(chain, read_chain(live_, newest));
    if (chain.overlays <= 2) return {};
    TLC_TRY_ASSIGN(merged, read_chain(live_, top));
    std::span<const DiskImage> images = merged.images;
    if (images.back().raw()) images = images.first(images.size() - 1);
    TLC_TRY_ASSIGN(data, data_of(live_, images));
    TLC_TRY(write(top.file, 0, header_over(chain.bottom) + data));
    TLC_TRY_ASSIGN(removed, remove_unused_images(live_));
    (void)removed;
    return {};
}

} // namespace tlc::test
