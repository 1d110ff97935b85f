// SPDX-License-Identifier: GPL-2.0-or-later
// A stand-in for QEMU: a forked process that owns memory, writes to it from several threads, and on request
// hands over a userfaultfd of its memory, holds the writers and keeps a reference copy in shared memory.
#pragma once

#include <tlc/base/fd.hpp>
#include <tlc/capture/guest_memory.hpp>

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tlc::test {

enum class BlockKind { anonymous, huge, shared, rom };
// How never-touched pages are dealt with: marks (WP_UNPOPULATED), missing faults, or made present beforehand.
enum class HoleMode { marks, missing, populated };

struct GuestSpec {
    struct Block {
        BlockKind kind;
        uint64_t pages;
    };
    std::vector<Block> blocks;
    unsigned writers = 2;
    unsigned hole_percent = 30;
    HoleMode holes = HoleMode::missing;
    uint32_t seed = 1;
};

// Why this machine cannot run such a guest; empty: it can.
std::string unsupported(HoleMode holes);

class TestGuest {
  public:
    explicit TestGuest(const GuestSpec& spec); // forks; the caller has no other threads then
    ~TestGuest();                              // kills

    pid_t pid() const { return pid_; }
    int socket() const { return socket_.get(); }
    std::vector<GuestBlock> blocks() const;
    Fd arm();      // the userfaultfd, registered; nothing is protected yet
    bool pause();  // writers are held, the reference is the memory as it is now
    void resume(); // writers go on
    // The dirty log: a memfd laid out as DirtyBitmap says; sync(true) holds the writers first. Once it is on,
    // pause() brings it up to date, too.
    Fd track();
    bool sync(bool hold);
    uint64_t writes() const;
    uint64_t dirtied() const; // pages that went into the log, each counted once a sync
    bool goes_on() const;     // every writer gets further, within some seconds
    void kill();
    bool finish(); // ends it, true when it ended well
    const std::byte* reference(size_t block) const { return references_[block]; }

  private:
    struct Control;
    [[noreturn]] void child();

    GuestSpec spec_;
    Control* control_ = nullptr; // shared
    std::vector<std::byte*> references_;
    pid_t pid_ = -1;
    Fd socket_;
};

} // namespace tlc::test
