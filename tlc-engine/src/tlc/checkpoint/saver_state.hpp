// SPDX-License-Identifier: GPL-2.0-or-later
// What a Saver keeps from one checkpoint to the next, for this folder's .cpp files only.
#pragma once

#include <tlc/checkpoint/saver.hpp>
#include <tlc/checkpoint/session.hpp>
#include <tlc/checkpoint/vm_capture.hpp>
#include <tlc/disk/disk_sums.hpp>
#include <tlc/image/writer.hpp>

#include <optional>

namespace tlc {

struct Saver::State {
    SaverOptions options;
    std::string fallback; // why the capture is not the first choice of "auto", for good

    // In the order of use: the capture ends before its buffer and its channel.
    std::unique_ptr<CaptureBuffer> buffer; // where there is more than one checkpoint
    std::optional<EngineSession> session;
    std::unique_ptr<VmCapture> capture;
    CaptureChoice kind; // of the capture

    // The last image, while its capture has gone on watching.
    std::optional<ImageBase> base;
    std::filesystem::path last_out;
    std::optional<SummedDisk> summed_disk; // the last one published
    uint64_t full_bytes = 0;               // stored in the last full image
    uint64_t further_bytes = 0;            // and in those that build on it

    Status make_buffer();
    // Opens a session and a capture unless there are some that work.
    Status open();
    void close();
    // Whether the next image shall build on the last one.
    bool goes_on() const;

  private:
    Status open(const CaptureChoice& choice, bool* refused);
};

} // namespace tlc
