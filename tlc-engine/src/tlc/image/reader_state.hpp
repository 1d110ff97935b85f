// SPDX-License-Identifier: GPL-2.0-or-later
// What an open image consists of, for this folder's .cpp files only.
#pragma once

#include <tlc/image/hdf5.hpp>
#include <tlc/image/reader.hpp>
#include <tlc/image/tables.hpp>

namespace tlc {

struct ImageReader::State {
    std::filesystem::path path;
    uint64_t file_size = 0;
    hdf::Id file;
    hdf::Id pages;
    uint64_t version = 0;
    ImageTables tables;
    std::vector<std::byte> device_state;
    std::vector<std::vector<uint64_t>> owners; // a file each, see invert_page_tables
    std::vector<std::unique_ptr<State>> older; // of which only the chunks are loaded
    uint64_t used_chunks = 0;                  // of all files
    std::string digest;

    // Opens the file and fills in everything, checked. Errors name the part but not the file.
    Status load();
    // Opens it for its chunks only, which must be those of an older file.
    Status load_as(const ImageOlderFile& expected);

    Status read_chunk(uint64_t n, std::span<std::byte> out) const;
    bool is_used(size_t file, uint64_t chunk) const;

  private:
    Status open();
    Status load_header();
    Status load_older();
    Status load_chunks();
    Status load_block(hid_t ram, size_t index);
    Status load_ram();
    Status load_device_state();
    Status load_counters();
    Status load_pages();
};

} // namespace tlc
