// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/capture/cluster_map.hpp>
#include <tlc/capture/fault_span.hpp>
#include <tlc/capture/slot_pool.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <thread>
#include <unistd.h>

namespace tlc {
namespace {

using testing::HasSubstr;

TEST(ClusterMap, FindsClustersAndShortLastOnes) {
    const std::vector<GuestBlock> blocks = {{"high", 0x40000000, 5 * 65536 + 4096, 4096, true, false},
                                            {"low", 0x10000000, 4096, 4096, true, false},
                                            {"empty", 0x20000000, 0, 4096, true, false},
                                            {"huge", 0x80000000, 4 << 20, 2 << 20, true, false}};
    ClusterMap map(blocks, 65536);
    EXPECT_EQ(map.total(), 6U + 1 + 0 + 2);
    EXPECT_EQ(map.largest(), uint64_t{2} << 20);
    EXPECT_EQ(map.cluster_bytes(3), uint64_t{2} << 20);
    EXPECT_FALSE(map.find(0x0fffffff));
    EXPECT_FALSE(map.find(0x10001000));
    EXPECT_FALSE(map.find(0x20000000));
    EXPECT_FALSE(map.find(0x40000000 + 5 * 65536 + 4096));
    const auto last = map.find(0x40000000 + 5 * 65536 + 4095);
    ASSERT_TRUE(last);
    EXPECT_EQ(last->block, 0U);
    EXPECT_EQ(last->first, 5U);
    EXPECT_EQ(map.length(*last), 4096U);
    EXPECT_EQ(map.offset(*last), 5U * 65536);
    EXPECT_EQ(map.length({0, 4, 2}), 65536U + 4096);
    EXPECT_EQ(map.find(0x80000000 + (3 << 20))->first, 1U);
}

TEST(ClusterMap, OneClaimer) {
    ClusterMap map({{"a", 0x10000000, 3 * 65536, 4096, true, false}}, 65536);
    EXPECT_EQ(map.state(0, 1), ClusterState::dirty);
    EXPECT_FALSE(map.claim(0, 1));
    map.set({0, 0, 3}, ClusterState::untouched);
    EXPECT_TRUE(map.claim(0, 1));
    EXPECT_FALSE(map.claim(0, 1));
    EXPECT_TRUE(map.change(0, 1, ClusterState::claimed, ClusterState::clean));
    EXPECT_FALSE(map.change(0, 1, ClusterState::claimed, ClusterState::wanted));
    EXPECT_EQ(map.state(0, 1), ClusterState::clean);
    EXPECT_TRUE(map.any({0, 0, 3}, ClusterState::clean));
    EXPECT_FALSE(map.any({0, 0, 3}, ClusterState::exposed));
    EXPECT_FALSE(map.all({0, 0, 2}, ClusterState::untouched));
    EXPECT_TRUE(map.all({0, 2, 1}, ClusterState::untouched));
}

std::optional<uint32_t> one_for_fault(SlotPool& pool) {
    uint32_t slot = 0;
    if (!pool.acquire_for_fault({&slot, 1})) return std::nullopt;
    return slot;
}

std::optional<uint32_t> pop_one(SlotPool& pool) {
    uint32_t slot = 0;
    if (pool.pop({&slot, 1}) == 0) return std::nullopt;
    return slot;
}

TEST(ClusterMap, StretchesFollowAddressesAndClaimsGrowAroundAFault) {
    constexpr uint64_t span = 4 * 65536;
    // The block begins one cluster after an aligned address and ends within a stretch.
    ClusterMap map({{"a", 0x10000000 + 65536, 8 * 65536, 4096, true, false}}, 65536);
    const auto expect_run = [](const ClusterRun& run, uint64_t first, uint64_t count) {
        EXPECT_EQ(run.first, first);
        EXPECT_EQ(run.count, count);
    };
    expect_run(map.stretch({0, 0, 1}, span), 0, 3);
    expect_run(map.stretch({0, 2, 1}, span), 0, 3);
    expect_run(map.stretch({0, 3, 1}, span), 3, 4);
    expect_run(map.stretch({0, 7, 1}, span), 7, 1);
    expect_run(map.stretch({0, 5, 1}, 4096), 5, 1);
    map.set({0, 0, 8}, ClusterState::untouched);
    ASSERT_TRUE(map.claim(0, 3));
    const auto claim_around = [&](uint64_t cluster, uint64_t most) {
        return map.change_around({0, cluster, 1}, map.stretch({0, cluster, 1}, span), most,
                                 ClusterState::untouched, ClusterState::claimed);
    };
    expect_run(claim_around(5, 8), 4, 3);
    expect_run(claim_around(5, 8), 5, 0);
    expect_run(claim_around(1, 2), 0, 2);
}

TEST(ClusterMap, RunsOfAStateAreFound) {
    ClusterMap map({{"a", 0x10000000, 8 * 65536, 4096, true, false}}, 65536);
    map.set({0, 2, 2}, ClusterState::exposed);
    map.set({0, 7, 1}, ClusterState::exposed);
    EXPECT_FALSE(map.claim(0, 2));
    const auto next = [&](uint64_t from) { return map.next(0, from, ClusterState::exposed); };
    auto run = next(0);
    EXPECT_EQ(run.first, 2U);
    EXPECT_EQ(run.count, 2U);
    map.set(run, ClusterState::untouched);
    run = next(0);
    EXPECT_EQ(run.first, 7U);
    EXPECT_EQ(run.count, 1U);
    EXPECT_EQ(next(8).count, 0U);
    EXPECT_EQ(map.next(0, 2, ClusterState::untouched, 1).count, 1U);
}

TEST(FaultSpan, GrowsWhileFaultsFollowEachOther) {
    FaultSpan span(65536, 1 << 20);
    FaultSpan::Clock::time_point now{std::chrono::hours(1)};
    EXPECT_EQ(span.next(now), 65536U);
    EXPECT_EQ(span.next(now += std::chrono::milliseconds(1)), 2 * 65536U);
    EXPECT_EQ(span.next(now += std::chrono::milliseconds(10)), 2 * 65536U);
    for (int i = 0; i < 10; ++i)
        EXPECT_LE(span.next(now), 1U << 20);
    EXPECT_EQ(span.next(now), 1U << 20);
    EXPECT_EQ(span.next(now += std::chrono::milliseconds(30)), 65536U);
}

TEST(SlotPool, SweepLeavesTheFaultsTheirShare) {
    const auto buffer = std::move(*CaptureBuffer::create(8 * 65536));
    SlotPool pool(*buffer, 8, 65536);
    std::vector<uint32_t> slots(8);
    EXPECT_EQ(pool.acquire_for_sweep(slots), 6U);
    EXPECT_TRUE(one_for_fault(pool));
    EXPECT_TRUE(one_for_fault(pool));
    EXPECT_EQ(pool.peak_bytes(), 8U * 65536);
    std::atomic<bool> got{false};
    std::thread fault([&] {
        EXPECT_TRUE(one_for_fault(pool));
        got = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_FALSE(got);
    pool.release(std::span(slots).subspan(0, 1));
    fault.join();
    std::thread sweep([&] { EXPECT_GE(pool.acquire_for_sweep(std::span(slots).first(4)), 1U); });
    pool.release(std::span(slots).subspan(1, 1));
    pool.release(std::span(slots).subspan(2, 1));
    pool.release(std::span(slots).subspan(3, 1));
    sweep.join();
}

TEST(SlotPool, QueueKeepsOrderAndCloses) {
    const auto buffer = std::move(*CaptureBuffer::create(2 * 65536));
    SlotPool pool(*buffer, 2, 65536);
    for (int round = 0; round < 5; ++round) {
        const auto a = *one_for_fault(pool);
        const auto b = *one_for_fault(pool);
        const std::array slots{a, b};
        pool.push(slots);
        EXPECT_EQ(pop_one(pool), a);
        EXPECT_EQ(pop_one(pool), b);
        pool.push(slots);
        std::array<uint32_t, 3> all{};
        EXPECT_EQ(pool.pop(all), 2U);
        EXPECT_EQ(all[1], b);
        pool.release(slots);
    }
    pool.push(std::array{*one_for_fault(pool)});
    pool.close();
    EXPECT_FALSE(one_for_fault(pool));
    EXPECT_TRUE(pop_one(pool));
    EXPECT_FALSE(pop_one(pool));
}

TEST(SlotPool, AbortEndsEveryWait) {
    const auto buffer = std::move(*CaptureBuffer::create(2 * 65536));
    SlotPool pool(*buffer, 2, 65536);
    const auto first = one_for_fault(pool);
    const auto second = one_for_fault(pool);
    ASSERT_TRUE(first && second);
    std::vector<uint32_t> slots(2);
    std::thread fault([&] { EXPECT_FALSE(one_for_fault(pool)); });
    std::thread sweep([&] { EXPECT_EQ(pool.acquire_for_sweep(slots), 0U); });
    std::thread worker([&] { EXPECT_FALSE(pop_one(pool)); });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pool.abort();
    fault.join();
    sweep.join();
    worker.join();
}

class Memory : public testing::Test {
  protected:
    void SetUp() override {
        base_ = static_cast<std::byte*>(
            ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ASSERT_NE(static_cast<void*>(base_), MAP_FAILED);
        ::madvise(base_, length, MADV_NOHUGEPAGE);
    }
    void TearDown() override { ::munmap(base_, length); }
    GuestBlock block(uint64_t pages = length / guest_page) {
        return {"ram", reinterpret_cast<uintptr_t>(base_), pages * guest_page, guest_page, true, false};
    }
    static constexpr size_t length = 3000 * guest_page;
    std::byte* base_ = nullptr;
};

TEST_F(Memory, NeverTouchedPagesAreSeen) {
    for (const size_t page : {0, 7, 599, 2999})
        base_[page * guest_page] = std::byte{1};
    const auto memory = GuestMemory::open(::getpid(), {block()});
    ASSERT_TRUE(memory) << memory.error().message;
    std::vector<uint8_t> touched(2999);
    ASSERT_TRUE(memory->touched(0, 1, touched));
    for (size_t i = 0; i < touched.size(); ++i)
        EXPECT_EQ(touched[i], i + 1 == 7 || i + 1 == 599 || i + 1 == 2999) << i;
    ASSERT_TRUE(memory->populate());
    ASSERT_TRUE(memory->touched(0, 1, touched));
    EXPECT_EQ(std::count(touched.begin(), touched.end(), 1), 2999);
}

TEST_F(Memory, ReadsScatteredPages) {
    std::vector<GuestMemory::Part> parts;
    std::vector<std::byte> to(2500 * guest_page);
    for (size_t i = 0; i < 2500; ++i) {
        const size_t page = i < 1250 ? i : i + 500;
        base_[page * guest_page] = static_cast<std::byte>(i);
        parts.push_back({page * guest_page, guest_page, to.data() + i * guest_page});
    }
    const auto memory = GuestMemory::open(::getpid(), {block()});
    ASSERT_TRUE(memory->read(0, parts));
    for (size_t i = 0; i < 2500; ++i)
        EXPECT_EQ(to[i * guest_page], static_cast<std::byte>(i));
}

TEST_F(Memory, FileMemoryIsNeverTakenForUntouched) {
    const int fd = ::memfd_create("ram", MFD_CLOEXEC);
    ASSERT_EQ(::ftruncate(fd, 4 * guest_page), 0);
    void* p = ::mmap(base_, 4 * guest_page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    ASSERT_EQ(p, base_);
    ::close(fd);
    const auto memory = GuestMemory::open(::getpid(), {block(8)});
    std::vector<uint8_t> touched(8);
    ASSERT_TRUE(memory->touched(0, 0, touched));
    EXPECT_EQ(std::count(touched.begin(), touched.end(), 1), 8);
    GuestBlock missing = block(8);
    missing.missing_faults = true;
    const auto refused = GuestMemory::open(::getpid(), {missing});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::incompatible);
}

TEST_F(Memory, ErrorsNameTheBlock) {
    GuestBlock odd = block();
    odd.length = 100;
    EXPECT_FALSE(GuestMemory::open(::getpid(), {odd}));
    const auto memory = GuestMemory::open(::getpid(), {block(10)});
    ASSERT_EQ(::mprotect(base_ + 5 * guest_page, guest_page, PROT_NONE), 0);
    std::vector<std::byte> to(10 * guest_page);
    const GuestMemory::Part all{0, to.size(), to.data()};
    const auto partly = memory->read(0, {&all, 1});
    ASSERT_FALSE(partly);
    EXPECT_THAT(partly.error().message, HasSubstr("ram"));
    const GuestMemory::Part bad{5 * guest_page, guest_page, to.data()};
    EXPECT_FALSE(memory->read(0, {&bad, 1}));
    EXPECT_FALSE(GuestMemory::open(0x3ffffffe, {block()}));
}

} // namespace
} // namespace tlc
