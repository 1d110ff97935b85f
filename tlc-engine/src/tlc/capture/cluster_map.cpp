// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/cluster_map.hpp>

#include <algorithm>

namespace tlc {

ClusterMap::ClusterMap(const std::vector<GuestBlock>& blocks, uint64_t cluster_bytes)
    : largest_(cluster_bytes) {
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

bool ClusterMap::set_saved(const ClusterRun& run) {
    for (uint64_t i = 0; i < run.count; ++i)
        at(run.block, run.first + i).store(ClusterState::saved, std::memory_order_release);
    return saved_.fetch_add(run.count) + run.count == total_;
}

} // namespace tlc
