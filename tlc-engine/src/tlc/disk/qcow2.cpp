// SPDX-License-Identifier: GPL-2.0-or-later
// Names: an overlay has a number higher than any other image of its live disk, so a name is never given twice
// while somebody may use the first file of it. Overlays that a failed snapshot has left are either the VM's
// active images, or have a higher number than those and are removed before the next snapshot.
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/disk/qcow2.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

// Frozen files are read only, for everybody who has the link.
constexpr mode_t frozen_mode = 0400;

bool cannot_link(int error) {
    return error == EXDEV || error == EPERM || error == EMLINK || error == EOPNOTSUPP || error == ENOSYS;
}

// One more name for a frozen image, or a copy where there can be none.
Status link_or_copy(const fs::path& from, const fs::path& to) {
    if (::link(from.c_str(), to.c_str()) == 0) return {};
    if (cannot_link(errno)) return tlc::copy_file(from, to, frozen_mode);
    return fail_errno(errno, fmt::format("cannot link {} as {}", from.string(), to.string()));
}

// What is newer than the image a VM writes to has never been taken into use.
Status remove_unswitched(const fs::path& live, const DiskFiles& files, const DiskImage& active,
                         BlockDevices& devices) {
    for (const auto& image : files.images) {
        if (image.drive != active.drive || image.number <= active.number) continue;
        devices.drop(image.file);
        const auto path = live / image.file;
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            return fail_errno(errno, fmt::format("cannot remove {}", path.string()));
    }
    return {};
}

Status restore_files(const fs::path& snapshot, const fs::path& live) {
    TLC_TRY_ASSIGN(files, list_disk_files(snapshot));
    for (const auto& [drive, newest] : files.newest) {
        TLC_TRY_ASSIGN(chain, read_chain(snapshot, newest));
        for (const auto& image : chain.images)
            TLC_TRY(link_or_copy(snapshot / image.file, live / image.file));
        const uint64_t number = files.highest + 1;
        TLC_TRY(make_overlay(live, newest, {drive, number, overlay_name(drive, number)}));
    }
    for (const auto& name : files.appended)
        TLC_TRY(tlc::copy_file(snapshot / name, live / name));
    return {};
}

} // namespace

Result<bool> can_link(const fs::path& directory) {
    std::string name = (directory / ".tlc-link-XXXXXX").string();
    const Fd fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, fmt::format("cannot make a file in {}", directory.string()));
    const std::string other = name + "-2";
    const bool linked = ::link(name.c_str(), other.c_str()) == 0;
    ::unlink(name.c_str());
    if (linked) ::unlink(other.c_str());
    return linked;
}

Qcow2Disk::~Qcow2Disk() { give_up(); }

// Overlays that the VM may write to stay: they are its active images, or are found by the next snapshot.
void Qcow2Disk::give_up() {
    if (taking_ && !taking_->switched)
        for (const auto& change : taking_->changes) {
            taking_->devices->drop(change.to);
            ::unlink((taking_->live / change.to).c_str());
        }
    taking_.reset();
}

Status Qcow2Disk::prepare(const fs::path& live, const fs::path& to, BlockDevices& devices) {
    give_up();
    TLC_TRY(must_be_free(to));
    taking_.emplace();
    taking_->devices = &devices;
    std::error_code error;
    taking_->live = fs::absolute(live, error); // QEMU's directory may be another one
    auto prepared = prepare_overlays();
    if (prepared) prepared = sync_files(live);
    if (prepared) {
        prepared = make_directory(to);
        if (prepared) prepared = link_images(to);
        if (!prepared) (void)remove(to);
    }
    if (prepared) return {};
    give_up();
    return in_context(prepared.error(), fmt::format("cannot prepare a snapshot of {}", live.string()));
}

Status Qcow2Disk::prepare_overlays() {
    const auto& live = taking_->live;
    TLC_TRY_ASSIGN(files, list_disk_files(live));
    const uint64_t number = files.highest + 1;
    for (const auto& [drive, newest] : files.newest) {
        TLC_TRY_ASSIGN(name, taking_->devices->active(drive));
        const auto active = parse_image_name(name);
        if (!active || active->drive != drive || active->number > newest.number)
            return fail("the VM writes its drive {} to \"{}\", which is no image of it", drive, name);
        TLC_TRY(remove_unswitched(live, files, *active, *taking_->devices));
        const DiskImage overlay{drive, number, overlay_name(drive, number)};
        // QEMU may still have one open that it could not close when an earlier attempt was given up.
        taking_->devices->drop(overlay.file);
        TLC_TRY(make_overlay(live, *active, overlay));
        taking_->changes.push_back({active->file, overlay.file});
        TLC_TRY(taking_->devices->add(live / overlay.file));
    }
    for (const auto& name : files.appended)
        taking_->appended[name] = 0;
    return {};
}

// They are being written until the pause, and only their names are needed before it.
Status Qcow2Disk::link_images(const fs::path& to) const {
    for (const auto& change : taking_->changes) {
        TLC_TRY_ASSIGN(active, parse_image_name(change.from));
        TLC_TRY_ASSIGN(chain, read_chain(taking_->live, active));
        for (const auto& image : chain.images) {
            const auto path = taking_->live / image.file;
            if (::link(path.c_str(), (to / image.file).c_str()) != 0)
                return fail_errno(errno, fmt::format("cannot link {}", path.string()));
        }
    }
    return {};
}

Status Qcow2Disk::snapshot(const fs::path& live, const fs::path&, BlockDevices& devices) {
    if (!taking_) return fail("a snapshot of {} was not prepared", live.string());
    for (auto& [name, size] : taking_->appended) {
        TLC_TRY_ASSIGN(bytes, size_of_file(live / name));
        size = bytes;
    }
    taking_->switched = true;
    return devices.switch_all(taking_->changes);
}

Status Qcow2Disk::settle(const fs::path& snapshot) {
    if (!taking_ || !taking_->switched) return fail("no snapshot was taken as {}", snapshot.string());
    for (const auto& [name, size] : taking_->appended)
        TLC_TRY(tlc::copy_file(taking_->live / name, snapshot / name, frozen_mode, size));
    for (const auto& change : taking_->changes) {
        const auto path = snapshot / change.from;
        if (::chmod(path.c_str(), frozen_mode) != 0)
            return fail_errno(errno, fmt::format("chmod {}", path.string()));
    }
    TLC_TRY(sync_files(snapshot));
    taking_.reset();
    return {};
}

Status Qcow2Disk::restore(const fs::path& snapshot, const fs::path& new_live) {
    TLC_TRY(create_live(new_live));
    auto restored = restore_files(snapshot, new_live);
    if (restored) return {};
    if (auto removed = remove(new_live); !removed) log::warning("{}", removed.error().message);
    return in_context(restored.error(), fmt::format("cannot restore the disk {}", snapshot.string()));
}

} // namespace tlc
