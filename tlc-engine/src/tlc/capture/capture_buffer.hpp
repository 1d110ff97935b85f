// SPDX-License-Identifier: GPL-2.0-or-later
// CaptureBuffer: the memory that copied pages lie in until they are written. A thread fetches it from the
// kernel as soon as it is made, so that a checkpoint begun later does not wait for that. It outlives the
// captures that use it, one at a time. wait() is for one thread at a time, the rest is constant.
#pragma once

#include <tlc/base/result.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <thread>

namespace tlc {

class CaptureBuffer {
  public:
    // Private anonymous memory of `bytes`, which is all the capture ever uses for copies.
    static Result<std::unique_ptr<CaptureBuffer>> create(size_t bytes);
    ~CaptureBuffer();
    CaptureBuffer(const CaptureBuffer&) = delete;
    CaptureBuffer& operator=(const CaptureBuffer&) = delete;

    std::span<std::byte> bytes() const { return bytes_; }
    // Until all of it is there: nobody shall wait for some later.
    void wait();

  private:
    explicit CaptureBuffer(std::span<std::byte> bytes);
    void fetch();

    std::span<std::byte> bytes_;
    std::atomic<bool> ending_ = false;
    std::thread fetching_;
};

} // namespace tlc
