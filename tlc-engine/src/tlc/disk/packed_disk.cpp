// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>
#include <tlc/base/files.hpp>
#include <tlc/disk/packed_disk.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <lz4.h>
#include <set>
#include <unistd.h>

namespace tlc {
namespace {

namespace fs = std::filesystem;

// An index that refers to more packs than this, or to packs that mostly hold what nobody needs any more, is
// not built on.
constexpr size_t longest_chain = 16;

uint64_t plain_size(uint64_t of_file, size_t number) {
    return std::min(disk_stretch, of_file - number * disk_stretch);
}

// What a stretch of zeros has for a checksum.
class Zeros {
  public:
    Zeros() : zeros_(disk_stretch), whole_(checksum(zeros_)) {}
    bool are(const Checksum& sum, uint64_t bytes) const {
        return sum == (bytes == disk_stretch ? whole_ : checksum(std::span(zeros_).first(bytes)));
    }

  private:
    std::vector<std::byte> zeros_;
    Checksum whole_;
};

// The pack that a checkpoint adds; made when something is put into it.
class PackWriter {
  public:
    PackWriter(fs::path directory, uint32_t number) : directory_(std::move(directory)), number_(number) {}

    Result<PackedStretch> add(std::span<const std::byte> plain, const Checksum& sum) {
        if (!fd_) TLC_TRY(create());
        compressed_.resize(disk_stretch);
        const int packed = LZ4_compress_default(
            reinterpret_cast<const char*>(plain.data()), reinterpret_cast<char*>(compressed_.data()),
            static_cast<int>(plain.size()), static_cast<int>(plain.size()) - 1);
        const auto stored =
            packed > 0 ? std::span<const std::byte>(compressed_).first(static_cast<size_t>(packed)) : plain;
        TLC_TRY(write_at(fd_.get(), stored, offset_));
        const PackedStretch stretch{sum, number_, offset_, static_cast<uint32_t>(stored.size())};
        offset_ += stored.size();
        return stretch;
    }
    Status finish() {
        if (fd_ && ::fsync(fd_.get()) != 0) return fail_errno(errno, fmt::format("cannot sync {}", name_));
        return {};
    }
    const std::string& name() const { return name_; } // empty: there is none
    uint64_t bytes() const { return offset_; }

  private:
    Status create() {
        TLC_TRY_ASSIGN(uuid, read_text("/proc/sys/kernel/random/uuid"));
        name_ = fmt::format("disk-{}.pack", uuid.substr(0, 36));
        TLC_TRY_ASSIGN(fd, open_file(directory_ / name_, O_WRONLY | O_CREAT | O_EXCL));
        fd_ = std::move(fd);
        offset_ = pack_first_bytes.size();
        return write_at(fd_.get(), std::as_bytes(std::span(pack_first_bytes)), 0);
    }

    fs::path directory_;
    uint32_t number_;
    std::string name_;
    Fd fd_;
    uint64_t offset_ = 0;
    std::vector<std::byte> compressed_;
};

// Whether what the base has already is worth the packs it is in.
bool worth_building_on(const PackedBase& base) {
    uint64_t needed = 0;
    for (const auto& [name, file] : base.index.files)
        for (const auto& stretch : file.stretches)
            needed += stretch.length;
    uint64_t there = 0;
    for (const auto& name : base.index.packs) {
        const auto size = size_of_file(base.directory / name);
        if (!size) return false;
        there += *size;
    }
    return base.index.packs.size() < longest_chain && there <= 2 * needed + disk_stretch;
}

const PackedStretch* find(const PackedBase* base, const std::string& name, size_t number, const Checksum& sum,
                          uint64_t bytes) {
    if (base == nullptr) return nullptr;
    const auto file = base->index.files.find(name);
    if (file == base->index.files.end() || number >= file->second.stretches.size()) return nullptr;
    const auto& stretch = file->second.stretches[number];
    const bool same =
        stretch.sum == sum && plain_size(file->second.size, number) == bytes && stretch.pack != 0;
    return same ? &stretch : nullptr;
}

// False, and nothing there, where the file system does not link.
bool link_packs(const PackedBase& base, const fs::path& directory) {
    for (size_t made = 0; made < base.index.packs.size(); ++made) {
        const auto& name = base.index.packs[made];
        if (::link((base.directory / name).c_str(), (directory / name).c_str()) == 0) continue;
        while (made-- > 0)
            ::unlink((directory / base.index.packs[made]).c_str());
        return false;
    }
    return true;
}

// Leaves out the packs that no stretch is in any more, and names them.
std::vector<std::string> drop_unused(PackedIndex& index) {
    std::set<uint32_t> used;
    for (const auto& [name, file] : index.files)
        for (const auto& stretch : file.stretches)
            used.insert(stretch.pack);
    std::vector<uint32_t> renumbered(index.packs.size() + 1, 0);
    std::vector<std::string> kept;
    std::vector<std::string> dropped;
    for (uint32_t n = 1; n <= index.packs.size(); ++n) {
        if (!used.contains(n)) {
            dropped.push_back(index.packs[n - 1]);
            continue;
        }
        kept.push_back(index.packs[n - 1]);
        renumbered[n] = static_cast<uint32_t>(kept.size());
    }
    index.packs = std::move(kept);
    for (auto& [name, file] : index.files)
        for (auto& stretch : file.stretches)
            stretch.pack = renumbered[stretch.pack];
    return dropped;
}

Status pack_file(const fs::path& path, const DiskSums::File& sums, const PackedBase* base, const Zeros& zeros,
                 PackWriter& writer, Throttle& throttle, PackedIndex::File& out) {
    TLC_TRY_ASSIGN(fd, open_file(path, O_RDONLY | O_NOFOLLOW));
    std::vector<std::byte> buffer(disk_stretch);
    out.size = sums.size;
    for (size_t n = 0; n < sums.stretches.size(); ++n) {
        const auto& sum = sums.stretches[n];
        const std::span<std::byte> plain(buffer.data(), plain_size(sums.size, n));
        if (zeros.are(sum, plain.size())) {
            out.stretches.push_back({sum, 0, 0, 0});
            continue;
        }
        if (const auto* known = find(base, path.filename().string(), n, sum, plain.size())) {
            out.stretches.push_back(*known);
            continue;
        }
        if (auto read = read_at(fd.get(), plain, n * disk_stretch); !read)
            return in_context(read.error(), path.string());
        if (checksum(plain) != sum)
            return fail(ErrorKind::damaged, "{}: the stretch at {} is not what was saved", path.string(),
                        n * disk_stretch);
        TLC_TRY_ASSIGN(stretch, writer.add(plain, sum));
        out.stretches.push_back(stretch);
        throttle.passed(stretch.length);
    }
    return {};
}

// The stretches of packs, read and checked.
class PackReader {
  public:
    static Result<PackReader> open(const fs::path& directory, const PackedIndex& index) {
        PackReader reader;
        for (const auto& name : index.packs) {
            auto fd = open_file(directory / name, O_RDONLY | O_NOFOLLOW);
            if (!fd) return fail(ErrorKind::damaged, "{}", fd.error().message);
            std::array<std::byte, pack_first_bytes.size()> first{};
            if (!read_at(fd->get(), first, 0) ||
                std::memcmp(first.data(), pack_first_bytes.data(), first.size()) != 0)
                return fail(ErrorKind::damaged, "{} is not a pack of a disk", (directory / name).string());
            reader.packs_.push_back({name, std::move(*fd)});
        }
        return reader;
    }

    // Of a stretch that is not zeros.
    Status read(const PackedStretch& stretch, std::span<std::byte> plain) {
        const auto& pack = packs_[stretch.pack - 1];
        const auto damaged = [&](std::string_view why) {
            return fail(ErrorKind::damaged, "{}: the stretch at {} {}", pack.name, stretch.offset, why);
        };
        stored_.resize(stretch.length);
        if (!read_at(pack.fd.get(), stored_, stretch.offset)) return damaged("cannot be read");
        if (stretch.length == plain.size())
            std::copy(stored_.begin(), stored_.end(), plain.begin());
        else if (LZ4_decompress_safe(reinterpret_cast<const char*>(stored_.data()),
                                     reinterpret_cast<char*>(plain.data()), static_cast<int>(stored_.size()),
                                     static_cast<int>(plain.size())) != static_cast<int>(plain.size()))
            return damaged("is no valid LZ4 data");
        return checksum(plain) == stretch.sum ? Status{} : damaged("is not what was saved");
    }

  private:
    struct Pack {
        std::string name;
        Fd fd;
    };
    std::vector<Pack> packs_;
    std::vector<std::byte> stored_;
};

// visit(name, offset, data) for each stretch that is not zeros.
template <typename Visit>
Status walk(const fs::path& directory, const PackedIndex& index, Visit visit) {
    TLC_TRY_ASSIGN(reader, PackReader::open(directory, index));
    std::vector<std::byte> buffer(disk_stretch);
    const Zeros zeros;
    for (const auto& [name, file] : index.files) {
        for (size_t n = 0; n < file.stretches.size(); ++n) {
            const auto& stretch = file.stretches[n];
            const std::span<std::byte> plain(buffer.data(), plain_size(file.size, n));
            if (stretch.pack != 0)
                TLC_TRY(reader.read(stretch, plain));
            else if (!zeros.are(stretch.sum, plain.size()))
                return fail(ErrorKind::damaged, "the index has {} at {} for zeros, which it is not", name,
                            n * disk_stretch);
            TLC_TRY(visit(name, n * disk_stretch, stretch.pack != 0 ? plain : plain.first(0)));
        }
    }
    return {};
}

} // namespace

Result<PackReport> pack_disk(const fs::path& snapshot, const DiskSums& sums, const fs::path& directory,
                             const PackedBase* base, Throttle& throttle) {
    if (base != nullptr && (!worth_building_on(*base) || !link_packs(*base, directory))) base = nullptr;
    PackedIndex index;
    if (base != nullptr) index.packs = base->index.packs;
    PackWriter writer(directory, static_cast<uint32_t>(index.packs.size() + 1));
    const Zeros zeros;
    for (const auto& [name, file] : sums.files)
        TLC_TRY(pack_file(snapshot / name, file, base, zeros, writer, throttle, index.files[name]));
    TLC_TRY(writer.finish());
    if (!writer.name().empty()) index.packs.push_back(writer.name());
    for (const auto& name : drop_unused(index))
        ::unlink((directory / name).c_str());
    PackReport report;
    report.written_bytes = writer.bytes();
    for (const auto& name : index.packs) {
        TLC_TRY_ASSIGN(size, size_of_file(directory / name));
        report.packs[name] = size;
    }
    const std::string text = packed_index_text(index);
    report.digest = checksum(std::as_bytes(std::span(text))).text();
    TLC_TRY(publish_text(directory / packed_index_file, text));
    return report;
}

Status unpack_disk(const fs::path& directory, const PackedIndex& index, const fs::path& live) {
    std::map<std::string, Fd> files;
    for (const auto& [name, file] : index.files) {
        TLC_TRY_ASSIGN(fd, open_file(live / name, O_WRONLY | O_CREAT | O_EXCL));
        if (::ftruncate(fd.get(), static_cast<off_t>(file.size)) != 0)
            return fail_errno(errno, fmt::format("cannot write {}", (live / name).string()));
        files[name] = std::move(fd);
    }
    return walk(directory, index, [&](const std::string& name, uint64_t at, std::span<const std::byte> data) {
        return write_at(files[name].get(), data, at);
    });
}

Status check_packed_disk(const fs::path& directory, const PackedIndex& index,
                         const std::function<void(uint64_t)>& progress) {
    uint64_t done = 0;
    return walk(directory, index, [&](const std::string&, uint64_t, std::span<const std::byte>) -> Status {
        done += disk_stretch;
        if (progress) progress(done);
        return {};
    });
}

} // namespace tlc
