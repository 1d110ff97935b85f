// SPDX-License-Identifier: GPL-2.0-or-later
// A manifest with every part filled in, and the files it names.
#pragma once

#include <tlc/catalog/manifest.hpp>

#include <filesystem>
#include <fstream>

namespace tlc::test {

inline Manifest sample_manifest(uint64_t sequence, uint64_t epoch) {
    Manifest m;
    m.sequence = sequence;
    m.epoch = epoch;
    m.created = "2026-01-31T12:00:00Z";
    m.cluster = "cluster";
    m.job_id = "4711";
    m.memory = {
        "memory.h5", 6, "00112233445566778899aabbccddeeff", "7d2f8a52-9f0b-4a63-b9d7-5a3a3f6c2b11", {}};
    m.disk = Manifest::Disk{"btrfs", "disk", {{"root.qcow2", 4}, {"stdout", 5}}, {}, {}};
    m.console = {5, 0, 77};
    m.vm = {"pc-q35-10.0", "qemu64", "tcg", 2, uint64_t{1} << 30, "10.0.13", {"-m", "1024", "-smp", "2"}};
    m.image = {"/srv/images/debian.ext4", 1 << 20, 1'700'000'000'000'000'000};
    m.job = {{"output", {{"path", "/home/user/slurm-4711.out"}, {"base", 120}}}};
    m.timings = {7.25, 912.5};
    m.sizes = {uint64_t{1} << 30, 123456, 1000, 261144};
    return m;
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// The parts sample_manifest() names.
inline void write_sample_parts(const std::filesystem::path& directory) {
    std::filesystem::create_directory(directory / "disk");
    write_file(directory / "memory.h5", "memory");
    write_file(directory / "disk" / "root.qcow2", "root");
    write_file(directory / "disk" / "stdout", "hello");
}

} // namespace tlc::test
