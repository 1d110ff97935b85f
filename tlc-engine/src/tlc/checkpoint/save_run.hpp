// SPDX-License-Identifier: GPL-2.0-or-later
// One checkpoint of a Saver: its steps, and what has to be undone when one fails. For this folder's .cpp
// files only.
#pragma once

#include <tlc/checkpoint/chain.hpp>
#include <tlc/checkpoint/qmp_block_devices.hpp>
#include <tlc/checkpoint/saver_state.hpp>
#include <tlc/disk/disk.hpp>

#include <chrono>

namespace tlc {

class LaneSink final : public PageSink {
  public:
    explicit LaneSink(ImageLane& lane) : lane_(lane) {}
    Status pages(uint32_t block, uint64_t first_page, std::span<const std::byte> data) override {
        return lane_.add(block, first_page, data);
    }

  private:
    ImageLane& lane_;
};

class SaveRun {
  public:
    // Both outlive it.
    SaveRun(Saver::State& saver, const SaveRequest& request);
    SaveRun(const SaveRun&) = delete;
    SaveRun& operator=(const SaveRun&) = delete;
    ~SaveRun();

    // After an error the saver's session and capture are closed.
    Result<SaveReport> run();

  private:
    using Clock = std::chrono::steady_clock;
    std::filesystem::path snapshot() const { return request_.out / "disk"; }
    Status prepare();
    Status open_image();
    Status pause_and_resume();
    Status collect();
    Status make_durable();
    Status sum_disk_part();

    Saver::State& saver_;
    const SaveRequest& request_;
    const std::filesystem::path partial_;
    Clock::time_point began_;
    SaveReport report_;
    QmpBlockDevices devices_;
    std::unique_ptr<Disk> disk_;
    bool snapshot_begun_ = false;
    std::optional<DiskSums> disk_sums_;
    bool naming_ = false;
    bool durable_ = false;
    ChainLinks links_;
    std::optional<ImageWriter> image_;
    std::vector<LaneSink> sinks_;
};

} // namespace tlc
