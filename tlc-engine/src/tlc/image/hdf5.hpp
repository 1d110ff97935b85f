// SPDX-License-Identifier: GPL-2.0-or-later
// The little of HDF5's C API that images need, for this folder's .cpp files only. Every call into the library
// holds Lock (one for the process, recursive), which also keeps the library from printing errors.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/image/file_output.hpp>

#include <cstdint>
#include <hdf5.h>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tlc::hdf {

class Lock {
  public:
    Lock();

  private:
    std::unique_lock<std::recursive_mutex> lock_;
};

// Owns one HDF5 identifier. Move only.
class Id {
  public:
    using Close = herr_t (*)(hid_t);
    Id() = default;
    Id(hid_t id, Close close) : id_(id), close_(close) {}
    Id(Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
    Id& operator=(Id&& other) noexcept {
        if (this != &other) {
            reset();
            id_ = std::exchange(other.id_, H5I_INVALID_HID);
            close_ = other.close_;
        }
        return *this;
    }
    ~Id() { reset(); }

    hid_t get() const { return id_; }
    bool valid() const { return id_ >= 0; }
    herr_t reset();

  private:
    hid_t id_ = H5I_INVALID_HID;
    Close close_ = nullptr;
};

// The Error for a call that just failed, from the library's error stack: the system's errno where there is
// one (no_space for a full disk), else the library's own words.
tl::unexpected<Error> failure(std::string_view step);
Status check(herr_t result, std::string_view step);
Result<Id> check(hid_t id, Id::Close close, std::string_view step);

// A file access list: no file locks (network file systems refuse them), checksummed metadata of format 1.8.
Result<Id> file_access();
// The same for a file that is written through `output`, which outlives it; its name means nothing then.
Result<Id> file_access(FileOutput& output);

Status write_text(hid_t object, const char* name, const std::string& text);
Status write_number(hid_t object, const char* name, uint64_t value);
// A group whose attributes and links all lie in its header, which has a checksum.
Result<Id> create_group(hid_t where, const char* name);
// A contiguous dataset of numbers (uint64, little endian) or bytes.
Result<Id> write_dataset(hid_t where, const char* name, hid_t type, std::span<const hsize_t> shape,
                         const void* data);

// Reading: a wrong type, shape or size is ErrorKind::damaged and names the attribute or dataset.
Result<std::string> read_text(hid_t object, const char* name, size_t limit);
Result<uint64_t> read_number(hid_t object, const char* name);
Result<Id> open_group(hid_t where, const char* name);

// An open contiguous dataset that was checked: element type, rank, and that its bytes are all in the file.
struct Dataset {
    Id id;
    std::vector<hsize_t> shape;
    uint64_t bytes = 0;
};
Result<Dataset> open_contiguous(hid_t where, const char* name, hid_t type, size_t rank, uint64_t file_size);
Status read_all(const Dataset& dataset, hid_t type, void* to, std::string_view name);

} // namespace tlc::hdf
