// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/capture/guest_memory.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sstream>
#include <unistd.h>

namespace tlc {

namespace {

constexpr size_t most_iovecs = 1024; // the kernel's UIO_MAXIOV
constexpr size_t most_smaps = size_t{256} << 20;

iovec remote_part(uint64_t address, size_t length) {
    return {reinterpret_cast<void*>(static_cast<uintptr_t>(address)), length};
}

Status check(const GuestBlock& b) {
    if (b.page_size < guest_page || b.page_size % guest_page != 0)
        return fail("RAM block {}: page size {} is not a multiple of {}", b.id, b.page_size, guest_page);
    if (b.length % b.page_size != 0 || b.host_address % guest_page != 0)
        return fail("RAM block {}: length {} at {:#x} is not a multiple of its page size", b.id, b.length,
                    b.host_address);
    return {};
}

tl::unexpected<Error> cannot_read(int error_number, const GuestBlock& block) {
    if (error_number == ESRCH) return fail("QEMU has ended while its memory was read");
    if (error_number == EPERM)
        return fail(
            "not allowed to read QEMU's memory: run tlc-engine as the user of QEMU, and let QEMU permit it "
            "(PR_SET_PTRACER) where Yama restricts ptrace");
    return fail_errno(error_number, fmt::format("cannot read RAM block {} of QEMU", block.id));
}

} // namespace

Result<GuestMemory> GuestMemory::open(pid_t pid, std::vector<GuestBlock> blocks) {
    for (const GuestBlock& b : blocks)
        TLC_TRY(check(b));
    TLC_TRY_ASSIGN(pagemap, open_file(fmt::format("/proc/{}/pagemap", pid), O_RDONLY));
    GuestMemory memory(pid, std::move(blocks), std::move(pagemap));
    TLC_TRY_ASSIGN(seen, memory.look_at_mappings());
    for (size_t i = 0; i < seen.size(); ++i) {
        const GuestBlock& block = memory.blocks_[i];
        memory.anonymous_[i] = seen[i].anonymous == block.length;
        if (block.missing_faults && !memory.anonymous_[i])
            return fail(ErrorKind::incompatible,
                        "RAM block {} is registered for missing faults but is not private anonymous memory",
                        block.id);
    }
    TLC_TRY(memory.look_again());
    return memory;
}

Status GuestMemory::look_again() {
    TLC_TRY_ASSIGN(seen, look_at_mappings());
    for (size_t i = 0; i < seen.size(); ++i)
        huge_[i] = seen[i].in_huge > 0 && seen[i].in_huge >= seen[i].present / 2;
    return {};
}

// A block is private anonymous memory when mappings without a file, and private, cover all of it; it is huge
// when most of what is present of the mappings it shares is in transparent huge pages.
Result<std::vector<GuestMemory::Seen>> GuestMemory::look_at_mappings() const {
    std::vector<Seen> seen(blocks_.size());
    std::vector<size_t> here; // blocks in the current mapping
    TLC_TRY_ASSIGN(text, read_text(fmt::format("/proc/{}/smaps", pid_), most_smaps));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        unsigned long long begin = 0;
        unsigned long long end = 0;
        unsigned long long inode = 1;
        unsigned long long amount = 0;
        std::array<char, 5> mode{};
        if (std::sscanf(line.c_str(), "%llx-%llx %4s %*x %*s %llu", &begin, &end, mode.data(), &inode) == 4) {
            here.clear();
            for (size_t i = 0; i < blocks_.size(); ++i) {
                const uint64_t from = std::max<uint64_t>(begin, blocks_[i].host_address);
                const uint64_t to = std::min<uint64_t>(end, blocks_[i].host_address + blocks_[i].length);
                if (from >= to) continue;
                here.push_back(i);
                if (inode == 0 && mode[3] == 'p') seen[i].anonymous += to - from;
            }
        } else if (std::sscanf(line.c_str(), "Rss: %llu", &amount) == 1) {
            for (const size_t i : here)
                seen[i].present += amount;
        } else if (std::sscanf(line.c_str(), "AnonHugePages: %llu", &amount) == 1) {
            for (const size_t i : here)
                seen[i].in_huge += amount;
        }
    }
    return seen;
}

uint64_t GuestMemory::length() const {
    uint64_t sum = 0;
    for (const GuestBlock& b : blocks_)
        sum += b.length;
    return sum;
}

Status GuestMemory::transfer(std::span<const iovec> local, std::span<const iovec> remote, size_t bytes,
                             const GuestBlock& block) const {
    const ssize_t n = ::process_vm_readv(pid_, local.data(), local.size(), remote.data(), remote.size(), 0);
    if (n < 0) return cannot_read(errno, block);
    if (static_cast<size_t>(n) != bytes)
        return fail(
            "RAM block {}: only {} of {} bytes could be read; QEMU has ended, or its memory is damaged",
            block.id, n, bytes);
    return {};
}

Status GuestMemory::populate() const {
    std::array<std::byte, most_iovecs> bytes{};
    std::array<iovec, most_iovecs> remote{};
    for (const GuestBlock& b : blocks_) {
        if (!b.protectable || b.missing_faults) continue;
        for (uint64_t offset = 0; offset < b.length;) {
            size_t count = 0;
            for (; count < most_iovecs && offset < b.length; offset += b.page_size)
                remote[count++] = remote_part(b.host_address + offset, 1);
            const iovec local{bytes.data(), count};
            TLC_TRY(transfer({&local, 1}, std::span(remote).first(count), count, b));
        }
    }
    return {};
}

Status GuestMemory::touched(uint32_t block, uint64_t first_page, std::span<uint8_t> touched) const {
    if (!anonymous_[block]) {
        std::fill(touched.begin(), touched.end(), uint8_t{1});
        return {};
    }
    // An entry of 0 is a page that was never there. Anything else is read: besides pages these are swapped
    // and migrating ones and the marks of WP_UNPOPULATED, which pagemap does not tell apart without
    // privilege.
    std::array<uint64_t, 512> entries{};
    uint64_t page = blocks_[block].host_address / guest_page + first_page;
    while (!touched.empty()) {
        const size_t count = std::min(touched.size(), entries.size());
        const auto bytes = static_cast<ssize_t>(count * sizeof entries[0]);
        const ssize_t n = ::pread(pagemap_.get(), entries.data(), static_cast<size_t>(bytes),
                                  static_cast<off_t>(page * sizeof entries[0]));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot read /proc/{}/pagemap", pid_));
        if (n != bytes) return fail("QEMU has ended while its memory was read");
        for (size_t i = 0; i < count; ++i)
            touched[i] = entries[i] != 0;
        touched = touched.subspan(count);
        page += count;
    }
    return {};
}

Status GuestMemory::read(uint32_t block, std::span<const Part> parts) const {
    const GuestBlock& b = blocks_[block];
    std::array<iovec, most_iovecs> local{};
    std::array<iovec, most_iovecs> remote{};
    while (!parts.empty()) {
        size_t bytes = 0;
        const size_t count = std::min(parts.size(), most_iovecs);
        size_t merged = 0; // remote pieces: neighbours become one
        for (size_t i = 0; i < count; ++i) {
            const Part& part = parts[i];
            local[i] = {part.to, part.length};
            const bool follows = i > 0 && parts[i - 1].offset + parts[i - 1].length == part.offset;
            if (follows)
                remote[merged - 1].iov_len += part.length;
            else
                remote[merged++] = remote_part(b.host_address + part.offset, part.length);
            bytes += part.length;
        }
        TLC_TRY(transfer(std::span(local).first(count), std::span(remote).first(merged), bytes, b));
        parts = parts.subspan(count);
    }
    return {};
}

} // namespace tlc
