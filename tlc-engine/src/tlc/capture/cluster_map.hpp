// SPDX-License-Identifier: GPL-2.0-or-later
// ClusterMap: guest RAM cut into clusters, the unit of copying, and the state of each. A cluster's length is
// a power of two, the same for all clusters of a block; the last one of a block may be shorter. Thread-safe.
#pragma once

#include <tlc/capture/guest_memory.hpp>

#include <atomic>
#include <memory>
#include <optional>

namespace tlc {

// A cluster's way through a checkpoint and to the next one:
//   dirty      not protected: written since it was last copied, or never copied
//   untouched  protected, still to be copied for this checkpoint
//   exposed    written between protection and the pause, so it has to be protected again
//   claimed    being copied by whoever claimed it
//   wanted     the same, and a writer waits for it
//   clean      protected and as it was copied last
enum class ClusterState : uint8_t { dirty, untouched, exposed, claimed, wanted, clean };

// A run of neighbouring clusters of one block; clusters count from the block's start.
struct ClusterRun {
    uint32_t block = 0;
    uint64_t first = 0;
    uint64_t count = 0;
};

class ClusterMap {
  public:
    // cluster_bytes: a power of two; blocks of larger pages get clusters of one page.
    ClusterMap(const std::vector<GuestBlock>& blocks, uint64_t cluster_bytes);

    uint64_t total() const { return total_; }
    uint64_t smallest() const { return smallest_; } // bytes of the smallest and of the largest cluster
    uint64_t largest() const { return largest_; }
    uint64_t cluster_bytes(uint32_t block) const { return areas_[block].cluster_bytes; }
    uint64_t clusters(uint32_t block) const { return areas_[block].clusters; }
    // Offset and length in the block.
    uint64_t offset(const ClusterRun& run) const { return run.first * areas_[run.block].cluster_bytes; }
    uint64_t length(const ClusterRun& run) const;
    // The cluster of an address of QEMU's, with count 1; nothing when no block has it.
    std::optional<ClusterRun> find(uint64_t address) const;

    ClusterState state(uint32_t block, uint64_t cluster) const {
        return at(block, cluster).load(std::memory_order_acquire);
    }
    // False when the cluster was not in state `from`.
    bool change(uint32_t block, uint64_t cluster, ClusterState from, ClusterState to) {
        return at(block, cluster).compare_exchange_strong(from, to);
    }
    bool claim(uint32_t block, uint64_t cluster) {
        return change(block, cluster, ClusterState::untouched, ClusterState::claimed);
    }
    void set(const ClusterRun& run, ClusterState state);
    bool all(const ClusterRun& run, ClusterState state) const;
    bool any(const ClusterRun& run, ClusterState state) const;
    // The clusters of one block around `one` that share its aligned stretch of span_bytes (a power of two) of
    // QEMU's addresses.
    ClusterRun stretch(const ClusterRun& one, uint64_t span_bytes) const;
    // Changes `from` and its neighbours while they are in state `was`, at most `most` clusters within
    // `bounds`; count 0 when `from` itself was not.
    ClusterRun change_around(const ClusterRun& from, const ClusterRun& bounds, uint64_t most,
                             ClusterState was, ClusterState to);
    // The next run of clusters in that state of a block at or after `from`, at most `most`; count 0: none.
    ClusterRun next(uint32_t block, uint64_t from, ClusterState state, uint64_t most = UINT64_MAX) const;

  private:
    struct Area {
        uint64_t host_address;
        uint64_t length;
        uint64_t cluster_bytes;
        uint64_t clusters;
        uint64_t base; // index of its first state
    };
    std::atomic<ClusterState>& at(uint32_t block, uint64_t cluster) const {
        return states_[areas_[block].base + cluster];
    }

    std::vector<Area> areas_;          // in the order of the blocks
    std::vector<uint32_t> by_address_; // indexes of areas_
    std::unique_ptr<std::atomic<ClusterState>[]> states_;
    uint64_t total_ = 0;
    uint64_t smallest_ = 0;
    uint64_t largest_ = 0;
};

} // namespace tlc
