// SPDX-License-Identifier: GPL-2.0-or-later
// What an image being written consists of, for this folder's .cpp files only.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/image/hdf5.hpp>
#include <tlc/image/tables.hpp>
#include <tlc/image/writer.hpp>

#include <atomic>
#include <mutex>

namespace tlc {

struct ImageWriter::State {
    class Lane;

    std::filesystem::path path;
    Fd fd; // our own descriptor of the file, for fsync
    std::unique_ptr<FileOutput> output;
    Compression compression = Compression::automatic;
    hdf::Id file;
    hdf::Id pages;
    ImageTables tables;
    std::atomic<uint64_t> next_chunk = 0;
    uint64_t extent = 0;                       // in chunks
    std::vector<std::vector<Checksum>> hashes; // in a chain: one a page
    bool in_chain = false;
    bool has_device_state = false;
    bool finished = false;
    std::optional<Error> error; // the first; with the HDF5 lock
    std::mutex lanes_mutex;
    std::vector<std::unique_ptr<Lane>> lanes;

    State();
    ~State(); // discards what was not finished

    void discard();
    // Runs one step under the lock unless an earlier one failed.
    template <typename Step>
    Status locked(Step step) {
        const hdf::Lock lock;
        if (error) return tl::unexpected<Error>(*error);
        Status status = step();
        if (!status) {
            // The library only knows that writing failed.
            if (auto written = output->state(); !written) status = written;
            status.error().message =
                fmt::format("cannot write {}: {}", path.string(), status.error().message);
            if (status.error().kind == ErrorKind::no_space)
                status.error().message += " (free space there, or keep fewer checkpoints)";
            error = status.error();
        }
        return status;
    }
    Status write_chunk(uint64_t chunk, std::span<const std::byte> stored);
    Status start();
    void begin_with_zeros();
    Status adopt(std::optional<ImageBase> base);
    Status write_older_files();
    Status write_tables();
    Status close();
};

} // namespace tlc
