// SPDX-License-Identifier: GPL-2.0-or-later
// The files of a VM's disk, told apart by their names, and the chains that its images make. A drive's first
// image is "root.qcow2" or "work.img" (raw); "root-7.qcow2" is an overlay over an image beside it with a
// lower number. So the image with the highest number has the drive's content, whether a VM writes to it or it
// was made and not taken into use. Everything that is no image is a file that is only appended to. No state:
// thread-safe.
#pragma once

#include <tlc/base/result.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

struct DiskImage {
    std::string drive;
    uint64_t number = 0; // 0: the drive's first
    std::string file;
    bool raw() const { return file.ends_with(".img"); }
    const char* format() const { return raw() ? "raw" : "qcow2"; }
};

struct DiskFiles {
    std::map<std::string, DiskImage> newest; // by drive
    std::vector<DiskImage> images;
    std::vector<std::string> appended;
    uint64_t highest = 0; // number of any image
};

// The names of the regular files in a directory, sorted.
Result<std::vector<std::string>> file_names(const std::filesystem::path& directory);

Result<DiskFiles> list_disk_files(const std::filesystem::path& directory);
// The newest image of a drive; ErrorKind::damaged if it has none.
Result<DiskImage> newest_image(const std::filesystem::path& directory, const std::string& drive);
// What a file's name says; an Error if it is not an image's.
Result<DiskImage> parse_image_name(const std::string& file);
std::string overlay_name(const std::string& drive, uint64_t number);

// "qcow2" if the image that a VM starts from says so in its first bytes, otherwise "raw".
Result<std::string> guest_image_format(const std::filesystem::path& image);

// Bytes the guest sees.
Result<uint64_t> virtual_size(const std::filesystem::path& directory, const DiskImage& image);

struct ImageChain {
    std::vector<DiskImage> images; // those in the directory, newest first
    size_t overlays = 0;           // those of them that lie over another image
    std::string bottom; // what the last overlay lies over: a name in the directory, or the guest image's path
};
// Follows the names in the images' headers. ErrorKind::damaged for what cannot be a chain of ours.
Result<ImageChain> read_chain(const std::filesystem::path& directory, const DiskImage& top);

// A new empty overlay over `below`, which lies in the same directory and may be in use.
Status make_overlay(const std::filesystem::path& directory, const DiskImage& below, const DiskImage& overlay);

// Removes the images that no chain holds any more, and returns their names,
// those of newer ones first.
Result<std::vector<std::string>> remove_unused_images(const std::filesystem::path& directory);

} // namespace tlc
