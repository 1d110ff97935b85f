// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
#include <tlc/base/throttle.hpp>
#include <tlc/catalog/job_directory.hpp>
#include <tlc/checkpoint/carry.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/checkpoint/progress.hpp>
#include <tlc/disk/packed_disk.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

// A part at a time, so that the throttle and the progress see it.
Status copy_slowly(const fs::path& from, const fs::path& to, Throttle& throttle,
                   std::atomic<uint64_t>& done) {
    constexpr size_t step = size_t{4} << 20;
    TLC_TRY_ASSIGN(source, open_file(from, O_RDONLY | O_NOFOLLOW));
    TLC_TRY_ASSIGN(target, open_file(to, O_WRONLY | O_CREAT | O_EXCL));
    std::vector<std::byte> buffer(step);
    for (uint64_t at = 0;;) {
        const ssize_t n = ::pread(source.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot read {}", from.string()));
        if (n == 0) break;
        const auto bytes = static_cast<size_t>(n);
        TLC_TRY(write_at(target.get(), std::span(buffer).first(bytes), at));
        // Lets the disk begin, so that the fsync at the end is short.
        ::sync_file_range(target.get(), static_cast<off_t>(at), n, SYNC_FILE_RANGE_WRITE);
        at += bytes;
        done += bytes;
        throttle.passed(bytes);
    }
    if (::fsync(target.get()) != 0) return fail_errno(errno, fmt::format("cannot sync {}", to.string()));
    return {};
}

class Carry {
  public:
    Carry(const CarryRequest& request, const CheckpointParts& parts)
        : request_(request), parts_(parts), manifest_(*parts.manifest()),
          throttle_(request.bytes_per_second) {}

    Result<CarryReport> run() {
        if (!request_.base.empty())
            if (auto base = CheckpointParts::open(request_.base)) base_.emplace(std::move(*base));
        {
            const Progress progress("carrying", bytes_to_copy(), [&] { return done_.load(); });
            TLC_TRY(carry_memory());
            TLC_TRY(carry_disk());
        }
        TLC_TRY_ASSIGN(job, JobDirectory::of_checkpoint(request_.to));
        TLC_TRY(job.publish(manifest_, request_.epoch));
        return report_;
    }

  private:
    uint64_t bytes_to_copy() const {
        uint64_t sum = manifest_.memory.size;
        for (const auto& [name, size] : manifest_.memory.older)
            sum += size;
        return sum;
    }

    // The name under which the base has the same file, if it has.
    std::optional<fs::path> in_base(const std::string& name, uint64_t size) const {
        if (!base_) return std::nullopt;
        const auto& memory = base_->manifest()->memory;
        const auto older = memory.older.find(name);
        if (older != memory.older.end() && older->second == size) return request_.base / name;
        if (name == older_file_name(memory.identity) && memory.size == size)
            return request_.base / memory.file;
        return std::nullopt;
    }

    Status carry_memory() {
        for (const auto& [name, size] : manifest_.memory.older) {
            const auto known = in_base(name, size);
            if (known && ::link(known->c_str(), (request_.to / name).c_str()) == 0) {
                done_ += size;
                continue;
            }
            TLC_TRY(copy_slowly(request_.from / name, request_.to / name, throttle_, done_));
            report_.memory_bytes += size;
        }
        const auto& file = manifest_.memory.file;
        TLC_TRY(copy_slowly(request_.from / file, request_.to / file, throttle_, done_));
        report_.memory_bytes += manifest_.memory.size;
        // Opened as a restore will: its tables and digest, and that the older files are the right ones.
        TLC_TRY_ASSIGN(image, ImageReader::open(request_.to / file, manifest_.memory.digest));
        // What has rotted on the node must not be published as whole; older files were read when they came.
        auto chunks = image.needed_chunks();
        std::erase_if(chunks, [](const ImageChunk& chunk) { return chunk.file != 0; });
        TLC_TRY(image.for_each_of(chunks, 2, [](auto&&...) { return Status{}; }));
        return sync_path(request_.to);
    }

    Status carry_disk() {
        if (!manifest_.disk) return {};
        if (parts_.packed_disk())
            return fail(ErrorKind::usage, "{} has been carried already", request_.from.string());
        if (!parts_.disk_sums())
            return fail(ErrorKind::incompatible, "{} has no checksums of its disk; it stays where it is",
                        request_.from.string());
        std::optional<PackedBase> base;
        if (base_ && base_->packed_disk()) base = PackedBase{request_.base, *base_->packed_disk()};
        TLC_TRY_ASSIGN(packed, pack_disk(request_.from / manifest_.disk->path, *parts_.disk_sums(),
                                         request_.to, base ? &*base : nullptr, throttle_));
        report_.disk_bytes = packed.written_bytes;
        manifest_.disk->kind = packed_kind;
        manifest_.disk->sums = packed.digest;
        manifest_.disk->packs = packed.packs;
        return {};
    }

    const CarryRequest& request_;
    const CheckpointParts& parts_;
    Manifest manifest_;
    std::optional<CheckpointParts> base_;
    Throttle throttle_;
    std::atomic<uint64_t> done_{0};
    CarryReport report_;
};

} // namespace

Result<CarryReport> carry_checkpoint(const CarryRequest& request) {
    const auto began = std::chrono::steady_clock::now();
    TLC_TRY_ASSIGN(parts, CheckpointParts::open(request.from));
    if (!parts.manifest())
        return fail(ErrorKind::no_checkpoint, "{} holds no published checkpoint", request.from.string());
    TLC_TRY_ASSIGN(report, Carry(request, parts).run());
    report.latency_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    return report;
}

} // namespace tlc
