// SPDX-License-Identifier: GPL-2.0-or-later
// A file driver of the HDF5 library that hands everything to a FileOutput.
#include <tlc/image/hdf5.hpp>

#include <algorithm>
#include <memory>

namespace tlc::hdf {
namespace {

struct OpenFile : H5FD_t { // the library fills in what is inherited
    FileOutput* output = nullptr;
    haddr_t allocated = 0;
};

struct Settings { // copied by the library
    FileOutput* output;
};

OpenFile& of(H5FD_t* file) { return *static_cast<OpenFile*>(file); }
const OpenFile& of(const H5FD_t* file) { return *static_cast<const OpenFile*>(file); }
herr_t as_library(const Status& status) { return status ? 0 : -1; }

H5FD_t* open(const char*, unsigned, hid_t access, haddr_t) {
    const auto* settings = static_cast<const Settings*>(H5Pget_driver_info(access));
    if (settings == nullptr) return nullptr;
    auto file = std::make_unique<OpenFile>();
    file->output = settings->output;
    return file.release();
}

herr_t close(H5FD_t* file) {
    const std::unique_ptr<OpenFile> owned(&of(file));
    return as_library(owned->output->drain());
}

herr_t query(const H5FD_t*, unsigned long* flags) {
    // As the library's own driver for ordinary files: the file is laid out the same way.
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

haddr_t get_allocated(const H5FD_t* file, H5FD_mem_t) { return of(file).allocated; }
herr_t set_allocated(H5FD_t* file, H5FD_mem_t, haddr_t end) {
    of(file).allocated = end;
    return 0;
}
haddr_t get_end(const H5FD_t* file, H5FD_mem_t) { return of(file).output->end(); }

herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* to) {
    return as_library(of(file).output->read(address, {static_cast<std::byte*>(to), size}));
}
herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, const void* from) {
    return as_library(of(file).output->write(address, {static_cast<const std::byte*>(from), size}));
}
herr_t flush(H5FD_t* file, hid_t, hbool_t) { return as_library(of(file).output->drain()); }
// What is allocated and was never written becomes zeros.
herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
    const uint64_t allocated = of(file).allocated;
    if (allocated <= of(file).output->end()) return 0;
    constexpr std::byte zero{0};
    return as_library(of(file).output->write(allocated - 1, {&zero, 1}));
}

hid_t driver() {
    static const H5FD_class_t ours = [] {
        H5FD_class_t all{};
#ifdef H5FD_CLASS_VERSION
        all.version = H5FD_CLASS_VERSION;
        all.value = static_cast<H5FD_class_value_t>(512); // from here on they are free for anyone
#endif
        all.name = "tlc-output";
        all.maxaddr = HADDR_MAX / 2;
        all.fc_degree = H5F_CLOSE_STRONG;
        all.fapl_size = sizeof(Settings);
        all.open = open;
        all.close = close;
        all.query = query;
        all.get_eoa = get_allocated;
        all.set_eoa = set_allocated;
        all.get_eof = get_end;
        all.read = read;
        all.write = write;
        all.flush = flush;
        all.truncate = truncate;
        const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
        std::copy(std::begin(map), std::end(map), std::begin(all.fl_map));
        return all;
    }();
    static const hid_t id = H5FDregister(&ours);
    return id;
}

} // namespace

Result<Id> file_access(FileOutput& output) {
    const Lock lock;
    TLC_TRY_ASSIGN(list, file_access());
    const Settings settings{&output};
    TLC_TRY(check(H5Pset_driver(list.get(), driver(), &settings), "file access"));
    return std::move(list);
}

} // namespace tlc::hdf
