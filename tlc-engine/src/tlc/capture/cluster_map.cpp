// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/cluster_map.hpp>

#include <algorithm>

namespace tlc {

ClusterMap::ClusterMap(const std::vector<GuestBlock>& blocks, uint64_t cluster_bytes)
    : smallest_(cluster_bytes), largest_(cluster_bytes) {
    for (const GuestBlock& b : blocks) {
        const uint64_t unit = std::max(cluster_bytes, b.page_size);
        const uint64_t count = (b.length + unit - 1) / unit;
        by_address_.push_back(static_cast<uint32_t>(areas_.size()));
        areas_.push_back({b.host_address, b.length, unit, count, total_});
        total_ += count;
        largest_ = std::max(largest_, unit);
    }
    std::sort(by_address_.begin(), by_address_.end(),
              [&](uint32_t a, uint32_t b) { return areas_[a].host_address < areas_[b].host_address; });
    states_ = std::make_unique<std::atomic<ClusterState>[]>(total_);
}

uint64_t ClusterMap::length(const ClusterRun& run) const {
    const Area& area = areas_[run.block];
    return std::min(run.count * area.cluster_bytes, area.length - offset(run));
}

std::optional<ClusterRun> ClusterMap::find(uint64_t address) const {
    auto next = std::upper_bound(by_address_.begin(), by_address_.end(), address,
                                 [&](uint64_t a, uint32_t i) { return a < areas_[i].host_address; });
    if (next == by_address_.begin()) return std::nullopt;
    const uint32_t block = *--next;
    const Area& area = areas_[block];
    if (address - area.host_address >= area.length) return std::nullopt;
    return ClusterRun{block, (address - area.host_address) / area.cluster_bytes, 1};
}

ClusterRun ClusterMap::stretch(const ClusterRun& one, uint64_t span_bytes) const {
    const Area& area = areas_[one.block];
    if (span_bytes <= area.cluster_bytes) return one;
    const uint64_t address = area.host_address + offset(one);
    const uint64_t begin = std::max(address & ~(span_bytes - 1), area.host_address) - area.host_address;
    const uint64_t end = std::min((address | (span_bytes - 1)) + 1 - area.host_address, area.length);
    // A cluster that lies across the border belongs to the stretch it begins in.
    const uint64_t first = (begin + area.cluster_bytes - 1) / area.cluster_bytes;
    return {one.block, first, (end + area.cluster_bytes - 1) / area.cluster_bytes - first};
}

ClusterRun ClusterMap::change_around(const ClusterRun& from, const ClusterRun& bounds, uint64_t most,
                                     ClusterState was, ClusterState to) {
    const auto take = [&](uint64_t cluster) { return change(from.block, cluster, was, to); };
    if (most == 0 || !take(from.first)) return {from.block, from.first, 0};
    ClusterRun run{from.block, from.first, 1};
    while (run.count < most && run.first > bounds.first && take(run.first - 1)) {
        --run.first;
        ++run.count;
    }
    const uint64_t end = bounds.first + bounds.count;
    while (run.count < most && run.first + run.count < end && take(run.first + run.count))
        ++run.count;
    return run;
}

void ClusterMap::set(const ClusterRun& run, ClusterState state) {
    for (uint64_t i = 0; i < run.count; ++i)
        at(run.block, run.first + i).store(state, std::memory_order_release);
}

bool ClusterMap::all(const ClusterRun& run, ClusterState wanted) const {
    for (uint64_t i = 0; i < run.count; ++i)
        if (state(run.block, run.first + i) != wanted) return false;
    return true;
}

bool ClusterMap::any(const ClusterRun& run, ClusterState wanted) const {
    for (uint64_t i = 0; i < run.count; ++i)
        if (state(run.block, run.first + i) == wanted) return true;
    return false;
}

ClusterRun ClusterMap::next(uint32_t block, uint64_t from, ClusterState wanted, uint64_t most) const {
    const uint64_t end = clusters(block);
    while (from < end && state(block, from) != wanted)
        ++from;
    ClusterRun run{block, from, 0};
    while (from < end && from - run.first < most && state(block, from) == wanted)
        ++from;
    run.count = from - run.first;
    return run;
}

} // namespace tlc
