// SPDX-License-Identifier: GPL-2.0-or-later
// The cow capture against a process that writes all the time: what the sinks get is the memory as it was at
// the pause, whatever the sizes, and no error of ours ever stops the writers. TLC_ROUNDS and TLC_SEED vary
// it.
#include <tlc/capture/cow_capture.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "capture_guest.hpp"
#include "capture_image.hpp"

namespace tlc {
namespace {

using namespace std::chrono_literals;
using test::BlockKind;
using test::from_environment;
using test::GuestSpec;
using test::HoleMode;
using test::Image;
using test::TestGuest;
using test::TestSink;
using testing::HasSubstr;

struct Scenario {
    GuestSpec guest;
    CaptureOptions options;
    unsigned workers = 2;
    std::chrono::microseconds delay{0};
    int64_t fail_after = -1;
};

Scenario random_scenario(std::mt19937& random) {
    const auto pick = [&](uint64_t from, uint64_t to) { return from + random() % (to - from + 1); };
    Scenario s;
    s.guest.seed = static_cast<uint32_t>(random());
    s.guest.holes = static_cast<HoleMode>(pick(0, 2));
    s.guest.hole_percent = static_cast<unsigned>(pick(0, 2) * 45);
    s.guest.writers = static_cast<unsigned>(pick(1, 4));
    for (uint64_t n = pick(1, 3); n-- > 0;)
        s.guest.blocks.push_back({static_cast<BlockKind>(pick(0, 3)), pick(1, 600)});
    s.options.cluster_bytes = smallest_cluster << pick(0, 5);
    s.options.buffer_bytes = s.options.cluster_bytes * pick(2, 12) + pick(0, 4095);
    s.options.fault_threads = static_cast<unsigned>(pick(1, 3));
    s.options.sweep_threads = static_cast<unsigned>(pick(1, 3));
    s.options.adaptive = pick(0, 3) > 0;
    s.workers = static_cast<unsigned>(pick(1, 3));
    if (pick(0, 1) == 1) s.delay = std::chrono::microseconds(pick(1, 300));
    return s;
}

// A guest and a capture of it, prepared.
class Running {
  public:
    explicit Running(const Scenario& s) : guest(s.guest), image(guest.blocks()) {
        for (unsigned i = 0; i < s.workers; ++i) {
            sinks_.push_back(std::make_unique<TestSink>(image));
            sinks_[i]->delay = s.delay;
            sinks_[i]->fail_after = s.fail_after;
        }
        auto memory = GuestMemory::open(guest.pid(), guest.blocks());
        if (!memory) throw std::runtime_error(memory.error().message);
        protects_unpopulated = s.guest.holes == HoleMode::marks;
        CaptureOptions options = s.options;
        options.peer_fd = guest.socket();
        options.workers = s.workers;
        auto prepared = CowCapture::prepare(std::move(*memory), options);
        if (!prepared) throw std::runtime_error(prepared.error().message);
        capture = std::move(*prepared);
    }
    Status start() {
        Fd userfaultfd = guest.arm();
        if (!userfaultfd) return fail("the test guest gave no userfaultfd");
        TLC_TRY(capture->arm(std::move(userfaultfd), protects_unpopulated));
        return checkpoint(true);
    }
    Status checkpoint(bool everything) {
        std::vector<PageSink*> sinks;
        for (const auto& sink : sinks_)
            sinks.push_back(sink.get());
        TLC_TRY(capture->begin(std::move(sinks), everything));
        std::this_thread::sleep_for(before_pause);
        if (!guest.pause()) return fail("the test guest is gone");
        auto done = capture->in_pause();
        guest.resume();
        return done;
    }

    uint64_t pages() const {
        uint64_t sum = 0;
        for (const auto& block : guest.blocks())
            sum += block.length / guest_page;
        return sum;
    }

    TestGuest guest;
    Image image;
    std::chrono::microseconds before_pause{0}; // after protection
    bool protects_unpopulated = false;

  private:
    std::vector<std::unique_ptr<TestSink>> sinks_;

  public:
    std::unique_ptr<CowCapture> capture; // before the sinks it uses
};

class CowCaptureTest : public testing::Test {
  protected:
    void SetUp() override {
        for (const HoleMode mode : {HoleMode::marks, HoleMode::missing, HoleMode::populated})
            if (const auto why = test::unsupported(mode); !why.empty()) GTEST_SKIP() << why;
    }
    std::mt19937 random_{from_environment("TLC_SEED", 20)};
    unsigned rounds_ = from_environment("TLC_ROUNDS", 40);
};

TEST_F(CowCaptureTest, ImageIsTheMemoryAtThePause) {
    CaptureCounters sum;
    for (unsigned round = 0; round < rounds_; ++round) {
        const Scenario scenario = random_scenario(random_);
        SCOPED_TRACE(fmt::format("round {}, holes {}, kind {}, adaptive {}", round,
                                 static_cast<int>(scenario.guest.holes),
                                 static_cast<int>(scenario.guest.blocks[0].kind), scenario.options.adaptive));
        Running r(scenario);
        r.before_pause = std::chrono::microseconds(random_() % 2 * (random_() % 3000));
        const auto started = r.start();
        ASSERT_TRUE(started) << started.error().message;
        const auto counters = r.capture->wait();
        ASSERT_TRUE(counters) << counters.error().message;
        ASSERT_EQ(r.image.difference(r.guest), "");
        EXPECT_EQ(counters->pages_saved, r.image.seen());
        EXPECT_EQ((counters->pages_saved + counters->pages_untouched) * guest_page, r.capture->bytes_total());
        EXPECT_EQ(r.capture->bytes_done(), r.capture->bytes_total());
        EXPECT_LE(counters->buffer_peak_bytes, scenario.options.buffer_bytes);
        EXPECT_TRUE(r.guest.goes_on());
        EXPECT_TRUE(r.guest.finish());
        sum.faults += counters->faults;
        sum.exposed_bytes += counters->exposed_bytes;
        sum.pages_untouched += counters->pages_untouched;
        sum.clusters_by_fault += counters->clusters_by_fault;
        sum.clusters_by_sweep += counters->clusters_by_sweep;
    }
    fmt::print("faults {}, clusters by fault {}, by sweep {}, pages untouched {}, exposed {} KiB\n",
               sum.faults, sum.clusters_by_fault, sum.clusters_by_sweep, sum.pages_untouched,
               sum.exposed_bytes >> 10);
    if (rounds_ >= 40) {
        EXPECT_GT(sum.clusters_by_fault, 0U);
        EXPECT_GT(sum.clusters_by_sweep, 0U);
        EXPECT_GT(sum.pages_untouched, 0U);
        EXPECT_GT(sum.exposed_bytes, 0U);
    }
}

// What was copied for earlier checkpoints and not written since is still right for this one.
TEST_F(CowCaptureTest, WatchedMemoryIsCopiedAgainWhereItWasWritten) {
    uint64_t later_pages = 0;
    uint64_t all_pages = 0;
    for (unsigned round = 0; round < rounds_; ++round) {
        Scenario scenario = random_scenario(random_);
        scenario.options.watch = true;
        scenario.guest.blocks.push_back({BlockKind::huge, 512 + random_() % 2048});
        SCOPED_TRACE(fmt::format("round {}, holes {}, kind {}, adaptive {}", round,
                                 static_cast<int>(scenario.guest.holes),
                                 static_cast<int>(scenario.guest.blocks[0].kind), scenario.options.adaptive));
        Running r(scenario);
        for (unsigned checkpoint = 0; checkpoint < 4; ++checkpoint) {
            r.before_pause = std::chrono::microseconds(random_() % 2 * (random_() % 3000));
            const bool everything = random_() % 4 == 0;
            r.image.next_checkpoint();
            const auto begun = checkpoint == 0 ? r.start() : r.checkpoint(everything);
            ASSERT_TRUE(begun) << begun.error().message;
            const auto counters = r.capture->wait();
            ASSERT_TRUE(counters) << counters.error().message;
            ASSERT_EQ(r.image.difference(r.guest), "") << "checkpoint " << checkpoint;
            EXPECT_EQ((counters->pages_saved + counters->pages_untouched) * guest_page,
                      r.capture->bytes_total());
            EXPECT_LE(counters->buffer_peak_bytes, scenario.options.buffer_bytes);
            if (checkpoint > 0 && !everything) later_pages += counters->pages_saved;
            if (checkpoint > 0 && !everything) all_pages += r.pages();
            EXPECT_TRUE(r.guest.goes_on());
            std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3 * (random_() % 2000)));
        }
        EXPECT_TRUE(r.guest.finish());
    }
    fmt::print("later checkpoints copied {} of {} pages\n", later_pages, all_pages);
    if (rounds_ >= 40) {
        EXPECT_LT(later_pages, all_pages);
    }
}

TEST_F(CowCaptureTest, FullBufferMakesWritersWaitAndNothingIsLost) {
    for (const HoleMode mode : {HoleMode::marks, HoleMode::missing, HoleMode::populated}) {
        Scenario scenario;
        scenario.guest.blocks = {{BlockKind::anonymous, 1500}};
        scenario.guest.holes = mode;
        scenario.guest.writers = 4;
        scenario.options.buffer_bytes = 2 * smallest_cluster;
        scenario.workers = 1;
        scenario.delay = 1ms;
        Running r(scenario);
        ASSERT_TRUE(r.start());
        std::this_thread::sleep_for(10ms);
        EXPECT_LT(r.capture->bytes_done(), r.capture->bytes_total());
        const auto counters = r.capture->wait();
        ASSERT_TRUE(counters) << counters.error().message;
        EXPECT_EQ(r.image.difference(r.guest), "");
        EXPECT_EQ(counters->buffer_peak_bytes, 2 * smallest_cluster);
        EXPECT_GT(counters->clusters_by_fault, 0U);
        EXPECT_TRUE(r.guest.finish());
    }
}

TEST_F(CowCaptureTest, SinkErrorLeavesTheGuestRunning) {
    for (unsigned round = 0; round < rounds_ / 4; ++round) {
        Scenario scenario = random_scenario(random_);
        scenario.guest.blocks.push_back({BlockKind::anonymous, 600});
        scenario.guest.hole_percent = 0;
        scenario.fail_after = static_cast<int64_t>(random_() % 8);
        scenario.workers = 1;
        Running r(scenario);
        const auto started = r.start();
        const auto counters = r.capture->wait();
        ASSERT_FALSE(counters);
        EXPECT_EQ(counters.error().message, "disk full");
        EXPECT_EQ(counters.error().kind, ErrorKind::no_space);
        if (!started) {
            EXPECT_EQ(started.error().message, "disk full");
        }
        EXPECT_TRUE(r.guest.goes_on());
        EXPECT_TRUE(r.guest.finish());
    }
}

TEST_F(CowCaptureTest, GuestKilledInTheMiddle) {
    for (unsigned round = 0; round < rounds_ / 4; ++round) {
        Scenario scenario = random_scenario(random_);
        scenario.guest.blocks = {{BlockKind::anonymous, 1500}};
        scenario.guest.hole_percent = 0;
        scenario.options.cluster_bytes = smallest_cluster << random_() % 3;
        scenario.options.buffer_bytes = 2 * scenario.options.cluster_bytes;
        scenario.delay = 2ms;
        scenario.workers = 1;
        Running r(scenario);
        ASSERT_TRUE(r.start());
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3000));
        r.guest.kill();
        const auto counters = r.capture->wait();
        ASSERT_FALSE(counters) << "all was captured before the kill";
        EXPECT_THAT(counters.error().message, HasSubstr("QEMU"));
    }
}

TEST_F(CowCaptureTest, CancelAndAbandon) {
    Scenario scenario;
    scenario.guest.blocks = {{BlockKind::anonymous, 700}};
    scenario.guest.hole_percent = 0;
    scenario.options.buffer_bytes = 2 * smallest_cluster;
    scenario.delay = 5ms;
    {
        Running r(scenario);
        ASSERT_TRUE(r.start());
        r.capture->cancel({ErrorKind::busy, "no longer wanted"});
        const auto counters = r.capture->wait();
        ASSERT_FALSE(counters);
        EXPECT_EQ(counters.error().message, "no longer wanted");
        EXPECT_TRUE(r.guest.goes_on());
    }
    {
        Running r(scenario);
        ASSERT_TRUE(r.start());
        r.capture.reset(); // never waited for
        EXPECT_TRUE(r.guest.goes_on());
    }
    {
        Running r(scenario); // never armed
        EXPECT_FALSE(r.capture->wait());
    }
    {
        Running r(scenario); // no pause after all
        ASSERT_TRUE(r.capture->arm(r.guest.arm(), false));
        EXPECT_TRUE(r.guest.goes_on());
        EXPECT_FALSE(r.capture->wait());
        EXPECT_TRUE(r.guest.goes_on());
    }
    Running r(scenario);
    ASSERT_TRUE(r.capture->arm(r.guest.arm(), false));
    r.capture.reset(); // the same, and never waited for
    EXPECT_TRUE(r.guest.goes_on());
}

TEST_F(CowCaptureTest, BadDescriptorIsAnErrorOfArm) {
    Scenario scenario;
    scenario.guest.blocks = {{BlockKind::anonymous, 10}};
    Running r(scenario);
    EXPECT_FALSE(r.capture->arm(Fd(), true));
    EXPECT_FALSE(r.checkpoint(true));
    EXPECT_FALSE(r.capture->in_pause());
    EXPECT_FALSE(r.capture->wait());
    EXPECT_FALSE(r.capture->arm(Fd(), true));
}

TEST_F(CowCaptureTest, PrepareChecksItsOptions) {
    TestGuest guest({.blocks = {{BlockKind::anonymous, 10}}});
    const auto refusal = [&](CaptureOptions options) {
        auto memory = GuestMemory::open(guest.pid(), guest.blocks());
        const auto capture = CowCapture::prepare(std::move(*memory), options);
        return capture ? "accepted" : capture.error().message;
    };
    EXPECT_EQ(refusal({}), "accepted");
    EXPECT_THAT(refusal({.cluster_bytes = 4096}), HasSubstr("power of two"));
    EXPECT_THAT(refusal({.cluster_bytes = 96 << 10}), HasSubstr("power of two"));
    EXPECT_THAT(refusal({.buffer_bytes = smallest_cluster}), HasSubstr("too small"));
    EXPECT_THAT(refusal({.fault_threads = 0}), HasSubstr("at least one"));
    EXPECT_THAT(refusal({.workers = 0}), HasSubstr("at least one"));
}

TEST_F(CowCaptureTest, BeginWantsASinkAWorkerAndOneCheckpointAtATime) {
    Scenario scenario;
    scenario.guest.blocks = {{BlockKind::anonymous, 50}};
    scenario.options.watch = true;
    Running r(scenario);
    EXPECT_FALSE(r.capture->begin({}, true)); // not armed
    ASSERT_TRUE(r.start());
    EXPECT_FALSE(r.checkpoint(true)); // the first one is not complete
    ASSERT_TRUE(r.capture->wait());
    EXPECT_FALSE(r.capture->begin({}, true));
    r.image.next_checkpoint();
    EXPECT_TRUE(r.checkpoint(false));
    EXPECT_TRUE(r.capture->wait());
    EXPECT_TRUE(r.guest.goes_on());
}

} // namespace
} // namespace tlc
