// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/catalog/manifest.hpp>
#include <tlc/catalog/manifest_checksum.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <xxhash.h>

namespace tlc {

using nlohmann::json;

Result<std::string> manifest_checksum(json object) {
    object.erase("checksum");
    try {
        const std::string text = object.dump();
        const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
        return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
    } catch (const json::exception&) {
        return fail("a text in the manifest is not valid UTF-8 (a file name or an environment variable?)");
    }
}

Result<std::string> manifest_text(const Manifest& m) {
    const bool sums = m.disk && !m.disk->sums.empty();
    const uint64_t version = sums ? 3 : m.memory.older.empty() ? 1 : 2;
    json object{
        {"format_version", version},
        {"sequence", m.sequence},
        {"epoch", m.epoch},
        {"created", m.created},
        {"cluster", m.cluster},
        {"job_id", m.job_id},
        {"memory",
         {{"file", m.memory.file},
          {"size", m.memory.size},
          {"digest", m.memory.digest},
          {"identity", m.memory.identity}}},
        {"disk", nullptr},
        {"console",
         {{"stdout", m.console.stdout_bytes},
          {"stderr", m.console.stderr_bytes},
          {"control", m.console.control_bytes}}},
        {"vm",
         {{"machine", m.vm.machine},
          {"cpu", m.vm.cpu},
          {"accel", m.vm.accel},
          {"vcpus", m.vm.vcpus},
          {"memory_bytes", m.vm.memory_bytes},
          {"qemu_version", m.vm.qemu_version},
          {"qemu_arguments", m.vm.qemu_arguments}}},
        {"image", {{"path", m.image.path}, {"size", m.image.size}, {"mtime_ns", m.image.mtime_ns}}},
        {"job", m.job},
        {"timings", {{"pause_ms", m.timings.pause_ms}, {"latency_ms", m.timings.latency_ms}}},
        {"sizes",
         {{"ram_bytes", m.sizes.ram_bytes},
          {"stored_bytes", m.sizes.stored_bytes},
          {"pages_saved", m.sizes.pages_saved},
          {"pages_zero", m.sizes.pages_zero}}},
    };
    if (version >= 2) object["memory"]["older"] = m.memory.older;
    if (m.disk) {
        object["disk"] = {{"kind", m.disk->kind}, {"path", m.disk->path}, {"files", json::object()}};
        for (const auto& [name, size] : m.disk->files)
            object["disk"]["files"][name] = size;
        if (sums) object["disk"]["sums"] = m.disk->sums;
        if (m.disk->kind == packed_kind) object["disk"]["packs"] = m.disk->packs;
    }
    TLC_TRY_ASSIGN(sum, manifest_checksum(object));
    object["checksum"] = sum;
    std::string text = object.dump(2) + "\n";
    // What could not be read back must not be published.
    if (auto read_back = parse_manifest(text); !read_back)
        return fail("invalid manifest: {}", read_back.error().message);
    return text;
}

Result<Manifest> read_manifest(const std::filesystem::path& checkpoint_directory) {
    const auto path = checkpoint_directory / "manifest.json";
    auto text = read_text(path, manifest_limit);
    if (!text) {
        struct stat info {};
        if (::lstat(path.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR))
            return fail(ErrorKind::no_checkpoint, "{} holds no checkpoint (no manifest.json)",
                        checkpoint_directory.string());
        // It may be whole: what cannot be read now is not damaged.
        return tl::unexpected(text.error());
    }
    auto manifest = parse_manifest(*text);
    if (!manifest) return in_context(manifest.error(), path.string());
    return manifest;
}

namespace {

Status check_file(const std::filesystem::path& path, uint64_t size) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return fail(ErrorKind::damaged, "{} is missing", path.string());
        return fail_errno(errno, fmt::format("cannot look at {}", path.string()));
    }
    if (!S_ISREG(info.st_mode)) return fail(ErrorKind::damaged, "{} is not a regular file", path.string());
    if (static_cast<uint64_t>(info.st_size) != size)
        return fail(ErrorKind::damaged, "{} has {} bytes instead of {}", path.string(), info.st_size, size);
    return {};
}

} // namespace

Status check_parts(const Manifest& manifest, const std::filesystem::path& checkpoint_directory) {
    TLC_TRY(check_file(checkpoint_directory / manifest.memory.file, manifest.memory.size));
    for (const auto& [name, size] : manifest.memory.older)
        TLC_TRY(check_file(checkpoint_directory / name, size));
    if (!manifest.disk) return {};
    for (const auto& [name, size] : manifest.disk->packs)
        TLC_TRY(check_file(checkpoint_directory / name, size));
    if (manifest.disk->kind == packed_kind) return {};
    for (const auto& [name, size] : manifest.disk->files)
        TLC_TRY(check_file(checkpoint_directory / manifest.disk->path / name, size));
    return {};
}

} // namespace tlc
