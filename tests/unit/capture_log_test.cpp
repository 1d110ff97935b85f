// SPDX-License-Identifier: GPL-2.0-or-later
// Capture by dirty log against a process that writes all the time: in every variant the image is the memory
// as it was at the pause, and no error of ours ever stops the writers. TLC_ROUNDS and TLC_SEED vary it.
#include <tlc/capture/log_capture.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>
#include <thread>
#include <unistd.h>

#include "capture_guest.hpp"
#include "capture_image.hpp"

namespace tlc {
namespace {

using namespace std::chrono_literals;
using test::BlockKind;
using test::GuestSpec;
using test::HoleMode;
using test::Image;
using test::TestGuest;
using test::TestSink;
using testing::HasSubstr;

class GuestLog final : public DirtyLog {
  public:
    explicit GuestLog(TestGuest& guest) : guest_(guest) {}
    Status sync(bool hold) override {
        ++(hold ? holds : syncs);
        if (fail_after-- == 0) return fail("no log today");
        return guest_.sync(hold) ? Status{} : fail("the test guest is gone");
    }
    Status release() override {
        guest_.resume();
        return {};
    }
    unsigned holds = 0;
    unsigned syncs = 0;
    int fail_after = -1;

  private:
    TestGuest& guest_;
};

struct Scenario {
    GuestSpec guest;
    LogOptions options;
    unsigned sinks = 2;
    std::chrono::microseconds delay{0};
    int64_t fail_after = -1;
};

Scenario random_scenario(std::mt19937& random) {
    const auto pick = [&](uint64_t from, uint64_t to) { return from + random() % (to - from + 1); };
    Scenario s;
    s.guest.seed = static_cast<uint32_t>(random());
    s.guest.hole_percent = static_cast<unsigned>(pick(0, 2) * 45);
    s.guest.writers = static_cast<unsigned>(pick(1, 4));
    for (uint64_t n = pick(1, 3); n-- > 0;)
        s.guest.blocks.push_back({static_cast<BlockKind>(pick(0, 3)), pick(1, 600)});
    s.options.variant = static_cast<LogVariant>(pick(0, 3));
    s.options.interval = std::chrono::milliseconds(pick(1, 5));
    s.options.buffer_bytes = guest_page * pick(1, 300) + pick(0, 4095);
    s.options.skip_known = pick(0, 1) == 1;
    s.options.replace_older = pick(0, 1) == 1;
    s.sinks = static_cast<unsigned>(pick(2, 4));
    if (pick(0, 1) == 1) s.delay = std::chrono::microseconds(pick(1, 300));
    return s;
}

class Running {
  public:
    explicit Running(const Scenario& s) : guest(s.guest), image(guest.blocks(), true), log(guest) {
        for (unsigned i = 0; i < s.sinks; ++i) {
            sinks_.push_back(std::make_unique<TestSink>(image));
            sinks_[i]->delay = s.delay;
            sinks_[i]->fail_after = s.fail_after;
        }
        auto blocks = guest.blocks();
        for (GuestBlock& b : blocks)
            b.missing_faults = false;
        auto memory = GuestMemory::open(guest.pid(), blocks);
        if (!memory) throw std::runtime_error(memory.error().message);
        auto bitmap = DirtyBitmap::map(guest.track(), blocks);
        if (!bitmap) throw std::runtime_error(bitmap.error().message);
        LogOptions options = s.options;
        options.pass_threads = s.sinks - 1;
        auto prepared = LogCapture::prepare(std::move(*memory), std::move(*bitmap), log, options);
        if (!prepared) throw std::runtime_error(prepared.error().message);
        capture = std::move(*prepared);
    }
    Status run() {
        std::vector<PageSink*> sinks;
        for (const auto& sink : sinks_)
            sinks.push_back(sink.get());
        TLC_TRY(capture->before_pause(std::move(sinks)));
        if (!guest.pause()) return fail("the test guest is gone");
        auto done = capture->in_pause();
        guest.resume();
        return done;
    }

    TestGuest guest;
    Image image;
    GuestLog log;

  private:
    std::vector<std::unique_ptr<TestSink>> sinks_;

  public:
    std::unique_ptr<LogCapture> capture; // before the sinks it uses
};

class LogCaptureTest : public testing::Test {
  protected:
    std::mt19937 random_{test::from_environment("TLC_SEED", 20)};
    unsigned rounds_ = test::from_environment("TLC_ROUNDS", 60);
};

TEST_F(LogCaptureTest, ImageIsTheMemoryAtThePause) {
    CaptureCounters sum;
    // Whether the guest writes a page while both of its copies are at hand is up to the machine's scheduler.
    const auto all_seen = [&] { return sum.table_pages > 0 && sum.skipped_opt1 > 0 && sum.skipped_opt2 > 0; };
    for (unsigned round = 0; round < rounds_ || (!all_seen() && round < 20 * rounds_); ++round) {
        const Scenario scenario = random_scenario(random_);
        SCOPED_TRACE(fmt::format("round {}, variant {}, buffer {}, options {} {}", round,
                                 static_cast<int>(scenario.options.variant), scenario.options.buffer_bytes,
                                 scenario.options.skip_known, scenario.options.replace_older));
        Running r(scenario);
        const auto run = r.run();
        ASSERT_TRUE(run) << run.error().message;
        const auto counters = r.capture->wait();
        ASSERT_TRUE(counters) << counters.error().message;
        ASSERT_EQ(r.image.difference(r.guest), "");
        EXPECT_EQ(counters->pages_saved, r.image.seen());
        EXPECT_EQ(r.capture->bytes_done(), r.capture->bytes_total());
        EXPECT_LE(counters->buffer_peak_bytes, scenario.options.buffer_bytes);
        EXPECT_LE(counters->working_set_pages, r.guest.dirtied());
        EXPECT_LE(counters->table_pages, counters->working_set_pages);
        if (!scenario.options.skip_known) {
            EXPECT_EQ(counters->skipped_opt1, 0U);
        }
        if (!scenario.options.replace_older) {
            EXPECT_EQ(counters->skipped_opt2, 0U);
        }
        const bool holds =
            scenario.options.variant == LogVariant::log || scenario.options.variant == LogVariant::memory;
        EXPECT_EQ(holds ? r.log.syncs : r.log.holds, 0U);
        if (scenario.options.variant == LogVariant::one_pass) {
            EXPECT_EQ(r.log.syncs, 0U);
        }
        EXPECT_TRUE(r.guest.goes_on());
        EXPECT_TRUE(r.guest.finish());
        sum.table_pages += counters->table_pages;
        sum.skipped_opt1 += counters->skipped_opt1;
        sum.skipped_opt2 += counters->skipped_opt2;
    }
    fmt::print("pages in the table {}, skipped by 1 {}, by 2 {}\n", sum.table_pages, sum.skipped_opt1,
               sum.skipped_opt2);
    EXPECT_TRUE(all_seen());
}

TEST_F(LogCaptureTest, ErrorsLeaveTheGuestRunning) {
    for (unsigned round = 0; round < rounds_ / 4; ++round) {
        Scenario scenario = random_scenario(random_);
        scenario.guest.blocks.push_back({BlockKind::anonymous, 600});
        scenario.guest.hole_percent = 0;
        const bool log_fails = round % 2 == 0;
        if (log_fails) {
            scenario.options.variant = LogVariant::memory;
            scenario.options.interval = 1ms;
            scenario.options.buffer_bytes = 1 << 20;
            scenario.delay = 5ms;
        } else {
            scenario.fail_after = static_cast<int64_t>(random_() % 5);
        }
        Running r(scenario);
        if (log_fails) r.log.fail_after = 0;
        SCOPED_TRACE(fmt::format("round {}, sinks {}, fails {}", round, scenario.sinks, scenario.fail_after));
        const auto run = r.run();
        ASSERT_FALSE(run) << r.log.holds << " logs taken, " << r.image.seen() << " pages";
        EXPECT_EQ(run.error().message, log_fails ? "no log today" : "disk full");
        EXPECT_FALSE(r.capture->wait());
        r.guest.resume(); // as QEMU does by itself when the engine goes
        EXPECT_TRUE(r.guest.goes_on());
    }
}

TEST_F(LogCaptureTest, CancelAndKill) {
    Scenario scenario;
    scenario.guest.blocks = {{BlockKind::anonymous, 1500}};
    scenario.guest.hole_percent = 0;
    scenario.delay = 3ms;
    {
        Running r(scenario);
        r.capture->cancel({ErrorKind::busy, "no longer wanted"});
        const auto run = r.run();
        ASSERT_FALSE(run);
        EXPECT_EQ(run.error().message, "no longer wanted");
    }
    {
        Running r(scenario);
        std::thread killer([&] {
            std::this_thread::sleep_for(20ms);
            r.guest.kill();
        });
        const auto run = r.run();
        killer.join();
        ASSERT_FALSE(run);
        EXPECT_THAT(run.error().message, HasSubstr("QEMU"));
    }
    Running r(scenario); // no pause
    EXPECT_FALSE(r.capture->wait());
}

TEST_F(LogCaptureTest, PrepareChecksItsOptions) {
    TestGuest guest({.blocks = {{BlockKind::anonymous, 70}}});
    GuestLog log(guest);
    const Fd memory = guest.track();
    const auto refusal = [&](LogOptions options) {
        auto ram = GuestMemory::open(guest.pid(), guest.blocks());
        auto bitmap = DirtyBitmap::map(memory, guest.blocks());
        const auto capture = LogCapture::prepare(std::move(*ram), std::move(*bitmap), log, options);
        return capture ? "accepted" : capture.error().message;
    };
    EXPECT_EQ(refusal({}), "accepted");
    EXPECT_THAT(refusal({.pass_threads = 0}), HasSubstr("pass thread"));
    EXPECT_THAT(refusal({.interval = 0ms}), HasSubstr("positive"));
    EXPECT_THAT(refusal({.buffer_bytes = 100}), HasSubstr("cannot be used"));
    auto more = guest.blocks();
    more.push_back(more.front());
    EXPECT_FALSE(DirtyBitmap::map(memory, more));
}

TEST(DirtyBitmap, TakesBitsOnceAndNoneBeyondTheEnd) {
    const std::vector<GuestBlock> blocks = {{"a", 0, 70 * guest_page}, {"b", 1 << 20, 3 * guest_page}};
    const Fd memory(::memfd_create("bitmap", MFD_CLOEXEC));
    const uint64_t bits[3] = {5, ~uint64_t{0}, ~uint64_t{0}};
    ASSERT_EQ(DirtyBitmap::bytes_for(blocks), sizeof bits);
    ASSERT_EQ(::write(memory.get(), bits, sizeof bits), static_cast<ssize_t>(sizeof bits));
    auto bitmap = DirtyBitmap::map(memory, blocks);
    ASSERT_TRUE(bitmap);
    EXPECT_EQ(bitmap->words(0), 2U);
    EXPECT_EQ(bitmap->words(1), 1U);
    EXPECT_EQ(bitmap->take(0, 0), 5U);
    EXPECT_EQ(bitmap->take(0, 0), 0U);
    EXPECT_EQ(bitmap->take(0, 1), 0x3fU);
    EXPECT_EQ(bitmap->take(1, 0), 7U);
}

TEST(DirtyTable, ReplacesOrKeepsOlderCopies) {
    auto table = std::move(*DirtyTable::create(3 * guest_page + 100));
    EXPECT_EQ(table->capacity(), 3U);
    std::byte* a = table->place(0, 7, true);
    EXPECT_EQ(table->place(0, 7, true), a);
    EXPECT_NE(table->place(1, 7, true), a);
    EXPECT_NE(table->place(0, 7, false), a); // the older copy stays, first in order
    EXPECT_TRUE(table->full());
    EXPECT_EQ(table->data(table->oldest()), a);
    table->drop_oldest();
    EXPECT_TRUE(table->contains(0, 7));
    EXPECT_EQ(table->oldest().block, 1U);
    table->drop_oldest();
    EXPECT_FALSE(table->contains(1, 7));
    table->drop_oldest();
    EXPECT_FALSE(table->contains(0, 7));
    EXPECT_EQ(table->size(), 0U);
    EXPECT_EQ(table->peak_bytes(), 3 * guest_page);
    EXPECT_FALSE(DirtyTable::create(100));
}

} // namespace
} // namespace tlc
