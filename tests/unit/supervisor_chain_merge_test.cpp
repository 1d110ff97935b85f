// SPDX-License-Identifier: GPL-2.0-or-later
// Merging chains of images with a real QEMU that has drives and no guest: what it writes, the test writes.
#include <tlc/base/checksum.hpp>
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>
#include <tlc/checkpoint/qmp_block_devices.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/supervisor/chain_merge.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>

#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

constexpr size_t place_size = 64 << 10;
constexpr int places = 256;

void succeeds(const std::vector<std::string>& argv) {
    const auto output = run(argv);
    ASSERT_TRUE(output) << output.error().message;
    ASSERT_EQ(output->status.code, 0) << output->text;
}

void make_file(const fs::path& path, uint64_t size) {
    std::ofstream(path).close();
    fs::resize_file(path, size);
}

// A frozen file, as far as it tells that nobody has written to it.
struct Trace {
    ino_t inode;
    off_t size;
    time_t seconds;
    long nanoseconds;
    std::string checksum;
    auto operator<=>(const Trace&) const = default;
};

Trace trace(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    const auto text = read_text(path);
    EXPECT_TRUE(text) << path;
    return {info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
            text ? checksum(std::as_bytes(std::span(*text))).text() : ""};
}

struct Snapshot {
    fs::path path;
    std::map<std::string, Trace> files;
    std::map<std::string, std::string> content; // by drive: a byte for each place
};

class Merge : public ::testing::Test {
  protected:
    const char* qemu = std::getenv("TLC_TEST_QEMU");
    const char* given = std::getenv("TLC_TEST_MERGES");
    test::TemporaryDirectory directory{given == nullptr ? fs::temp_directory_path() : fs::path(given)};
    test::TemporaryDirectory sockets; // short names
    fs::path live = directory / "live-1";
    std::map<std::string, std::string> content{{"root", std::string(places, '\0')},
                                               {"work", std::string(places, '\0')}};
    std::vector<Snapshot> snapshots;
    Child vm;
    std::optional<Qmp> qmp, hand;
    std::optional<QmpBlockDevices> devices;
    unsigned lives = 1;

    void SetUp() override {
        if (qemu == nullptr) GTEST_SKIP() << "TLC_TEST_QEMU names no QEMU";
        make_file(directory / "guest.ext4", places * place_size);
        ASSERT_TRUE(disk()->create_live(live));
        succeeds({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                  (directory / "guest.ext4").string(), (live / "root.qcow2").string()});
        make_file(live / "work.img", places * place_size);
        make_file(live / "stdout", 0);
        start();
    }

    std::unique_ptr<Disk> disk() { return std::move(*open_disk(directory.path(), "qcow2")); }

    // As tlc/vm/machine.cpp does. `work` is what the drive's file is read through.
    void start(const std::string& work = "") {
        std::vector<std::string> argv{qemu, "-machine", "none", "-nodefaults", "-display", "none"};
        for (const char* name : {"qmp", "engine", "hand"}) {
            const auto socket = sockets / name;
            fs::remove(socket);
            argv.insert(argv.end(), {"-qmp", fmt::format("unix:{},server=on,wait=off", socket.string())});
        }
        for (const char* drive : {"root", "work"}) {
            const auto image = newest_image(live, drive);
            ASSERT_TRUE(image) << image.error().message;
            const auto path = (live / image->file).string();
            const auto file =
                drive == std::string("work") && !work.empty()
                    ? fmt::format("{},file.image.driver=file,file.image.filename={}", work, path)
                    : "file=" + path;
            argv.insert(argv.end(), {"-drive", fmt::format("if=none,id={},node-name={},format={},"
                                                           "cache=writeback,discard=unmap,{}",
                                                           drive, image->file, image->format(), file)});
        }
        auto started = spawn(argv);
        ASSERT_TRUE(started) << started.error().message;
        vm = std::move(*started);
        auto one = Qmp::connect(sockets / "qmp", 20s), other = Qmp::connect(sockets / "hand", 20s);
        ASSERT_TRUE(one && other);
        qmp.emplace(std::move(*one));
        hand.emplace(std::move(*other));
        devices.emplace(sockets / "engine");
    }

    void put(const std::string& drive, int place, char byte, int count = 1) {
        const auto command =
            fmt::format("qemu-io {} \"write -q -P {} {}k {}k\"", drive, int{byte}, place * 64, count * 64);
        const auto done = hand->execute("human-monitor-command", {{"command-line", command}});
        ASSERT_TRUE(done) << done.error().message;
        for (int i = 0; i < count; ++i)
            content[drive][static_cast<size_t>(place + i)] = byte;
    }

    Status take() {
        const auto to = directory / fmt::format("{}", snapshots.size());
        const auto one = disk();
        TLC_TRY(one->prepare(live, to, *devices));
        auto taken = one->snapshot(live, to, *devices);
        if (taken) taken = one->settle(to);
        if (!taken) {
            (void)one->remove(to);
            return taken;
        }
        Snapshot made{to, {}, content};
        TLC_TRY_ASSIGN(names, file_names(to));
        for (const auto& name : names)
            made.files[name] = trace(to / name);
        snapshots.push_back(std::move(made));
        return {};
    }

    // Both drives' chains are long enough, and half a megabyte has changed each time.
    void grow() {
        for (size_t n = 0; n <= ChainMerge::longest; ++n) {
            change(n);
            const auto taken = take();
            ASSERT_TRUE(taken) << taken.error().message;
        }
    }

    void change(size_t n) {
        const int place = static_cast<int>(n * 28 % (places - 8));
        put("root", place, static_cast<char>(n % 126 + 1), 8);
        put("work", places - 8 - place, static_cast<char>(n % 125 + 2), 8);
    }

    size_t overlays(const std::string& drive) {
        return read_chain(live, *newest_image(live, drive))->overlays;
    }

    // Slow enough that something can happen meanwhile; 0: as fast as it goes.
    void set_speed(uint64_t bytes) {
        for (const char* drive : {"root", "work"})
            (void)hand->execute("block-job-set-speed",
                                {{"device", std::string("merge-") + drive}, {"speed", bytes}});
    }

    void until_ended(ChainMerge& merge) {
        const auto limit = std::chrono::steady_clock::now() + 30s;
        while (merge.holds_up_checkpoint() && std::chrono::steady_clock::now() < limit) {
            merge.follow(*qmp, live);
            std::this_thread::sleep_for(5ms);
        }
        EXPECT_FALSE(merge.holds_up_checkpoint()) << "it does not end";
    }

    // What it logs.
    template <typename Do>
    std::string said(Do&& work) {
        ::testing::internal::CaptureStderr();
        work();
        return ::testing::internal::GetCapturedStderr();
    }

    void holds(const fs::path& where, const std::map<std::string, std::string>& expected,
               bool checked = false) {
        for (const auto& [drive, bytes] : expected) {
            const auto image = newest_image(where, drive);
            ASSERT_TRUE(image) << image.error().message;
            const auto chain = read_chain(where, *image);
            ASSERT_TRUE(chain) << chain.error().message;
            for (const auto& one : chain->images)
                if (!one.raw() && !checked)
                    succeeds({"qemu-img", "check", "-q", (where / one.file).string()});
            const auto raw = (directory / "content").string();
            succeeds({"qemu-img", "convert", "-f", image->format(), "-O", "raw",
                      (where / image->file).string(), raw});
            std::ifstream file(raw);
            std::string part(place_size, '\0');
            for (const char byte : bytes) {
                ASSERT_TRUE(file.read(part.data(), static_cast<std::streamsize>(part.size())));
                ASSERT_EQ(part, std::string(place_size, byte)) << where << " " << drive;
            }
        }
    }

    // Nobody has written to what is frozen, and it is all that is needed.
    void frozen_is_sound(size_t contents = 3) {
        for (const auto& snapshot : snapshots)
            for (const auto& [name, before] : snapshot.files)
                ASSERT_EQ(trace(snapshot.path / name), before) << snapshot.path / name;
        for (size_t n = snapshots.size() - std::min(snapshots.size(), contents); n < snapshots.size(); ++n)
            holds(snapshots[n].path, snapshots[n].content);
    }

    // The power is gone: a new life with the newest snapshot.
    void restore() {
        vm.kill_and_reap();
        live = directory / fmt::format("live-{}", ++lives);
        const auto restored = disk()->restore(snapshots.back().path, live);
        ASSERT_TRUE(restored) << restored.error().message;
        content = snapshots.back().content;
        holds(live, content, true);
        start();
    }

    bool has_job(const std::string& id, const std::string& status) {
        const auto jobs = hand->execute("query-jobs");
        if (!jobs) return false;
        return std::any_of(jobs->begin(), jobs->end(), [&](const auto& job) {
            return job.value("id", "") == id && (status.empty() || job.value("status", "") == status);
        });
    }
    void until(const std::function<bool()>& reached) {
        for (int n = 0; n < 4000 && !reached(); ++n)
            std::this_thread::sleep_for(5ms);
        EXPECT_TRUE(reached());
    }
};

TEST_F(Merge, makes_both_chains_short_and_frees_what_is_not_needed) {
    grow();
    ChainMerge merge;
    const auto log = said([&] {
        merge.begin_if_due(*qmp, live);
        until_ended(merge);
    });
    EXPECT_THAT(log, HasSubstr("merged the images of the drive root"));
    EXPECT_THAT(log, HasSubstr("merged the images of the drive work"));
    EXPECT_EQ(overlays("root"), 1u);
    EXPECT_EQ(overlays("work"), 1u);
    EXPECT_EQ(file_names(live)->size(), 4u); // the two newest, work.img, stdout
    change(100);
    ASSERT_TRUE(take());
    frozen_is_sound(100);
    restore();
}

// TLC_MERGES: how often.
TEST_F(Merge, the_power_goes_at_any_moment_of_one) {
    const char* times = std::getenv("TLC_MERGES");
    const int count = times == nullptr ? 8 : std::atoi(times);
    grow();
    int ended = 0;
    for (int n = 0; n < count; ++n) {
        ChainMerge merge;
        merge.begin_if_due(*qmp, live);
        ASSERT_TRUE(merge.holds_up_checkpoint());
        const std::string job = n % 2 == 0 ? "merge-root" : "merge-work"; // the second one
        until([&] {
            if (job == "merge-work") merge.follow(*qmp, live);
            return has_job(job, "");
        });
        if (n % 4 >= 2) { // it has ended, and what is unused is there or not
            until([&] { return has_job(job, "concluded"); });
            if (n % 8 >= 6)
                until([&] {
                    merge.follow(*qmp, live);
                    return !has_job(job, "concluded");
                });
            ++ended;
        } else {
            set_speed(8 << 20);
            put("work", n % places, 'z');
            std::this_thread::sleep_for(std::chrono::milliseconds(97 * n % 600));
        }
        vm.signal(SIGKILL);
        vm.kill_and_reap();
        frozen_is_sound(1);
        restore();
        if (HasFatalFailure()) return;
        change(static_cast<size_t>(n) + 50);
        ASSERT_TRUE(take());
    }
    frozen_is_sound(100);
    std::cout << count << " power cuts, " << ended << " of them after the end of a merge, "
              << snapshots.size() << " snapshots as they were\n";
}

TEST_F(Merge, one_that_cannot_read_is_tried_again) {
    // Once, in the first overlay: the image at the bottom is not read.
    ASSERT_TRUE(take());
    vm.kill_and_reap();
    start("file.driver=blkdebug,file.inject-error.0.event=read_aio,file.inject-error.0.once=on");
    if (HasFatalFailure()) return;
    grow();
    ChainMerge merge;
    auto log = said([&] {
        merge.begin_if_due(*qmp, live);
        until_ended(merge);
    });
    EXPECT_THAT(log, HasSubstr("the drive work stays long, merging failed: Input/output error"));
    change(101);
    ASSERT_TRUE(take());
    log = said([&] {
        merge.begin_if_due(*qmp, live);
        until_ended(merge);
    });
    EXPECT_THAT(log, Not(HasSubstr("failed")));
    EXPECT_EQ(overlays("work"), 1u);
    ASSERT_TRUE(take());
    frozen_is_sound();
}

TEST_F(Merge, one_without_room_is_not_begun_or_fails_and_is_tried_again) {
    if (*free_space(directory.path()) > uint64_t{1} << 30) GTEST_SKIP() << "the file system is too large";
    grow();
    const auto fill = [&](uint64_t leave) {
        succeeds({"fallocate", "-l", fmt::format("{}", *free_space(directory.path()) - leave),
                  (directory / "ballast").string()});
    };
    fill(8 << 20);
    ChainMerge merge;
    auto log = said([&] { merge.begin_if_due(*qmp, live); });
    EXPECT_THAT(log, HasSubstr("it may need"));
    EXPECT_FALSE(merge.holds_up_checkpoint());

    fs::remove(directory / "ballast");
    log = said([&] {
        merge.begin_if_due(*qmp, live);
        set_speed(1 << 20);
        fill(1 << 20);
        set_speed(0);
        until_ended(merge);
    });
    EXPECT_THAT(log, HasSubstr("merging failed: No space left on device"));
    EXPECT_GT(overlays("root"), ChainMerge::longest);
    fs::remove(directory / "ballast");
    frozen_is_sound();
    change(102);
    ASSERT_TRUE(take());
    merge.begin_if_due(*qmp, live);
    until_ended(merge);
    EXPECT_EQ(overlays("root"), 1u);
    EXPECT_EQ(overlays("work"), 1u);
    ASSERT_TRUE(take());
    frozen_is_sound();
    restore();
}

TEST_F(Merge, one_that_does_not_move_is_cancelled) {
    grow();
    ChainMerge merge(1s);
    const auto log = said([&] {
        merge.begin_if_due(*qmp, live);
        set_speed(1 << 20);
        ASSERT_TRUE(hand->execute("job-pause", {{"id", "merge-root"}}));
        until_ended(merge);
    });
    EXPECT_THAT(log, HasSubstr("the drive root does not move; it is cancelled"));
    change(103);
    ASSERT_TRUE(take());
    frozen_is_sound();
}

TEST_F(Merge, is_cancelled_for_a_checkpoint_that_cannot_wait) {
    grow();
    ChainMerge merge;
    merge.begin_if_due(*qmp, live);
    set_speed(256 << 10); // for a minute
    std::this_thread::sleep_for(300ms);
    const auto began = std::chrono::steady_clock::now();
    put("root", 3, 'q');
    merge.cancel(*qmp);
    until_ended(merge);
    const auto taken = take();
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    merge.begin_if_due(*qmp, live);
    EXPECT_FALSE(merge.holds_up_checkpoint());
    frozen_is_sound();
    restore();
}

TEST_F(Merge, begun_without_an_answer_is_found_again) {
    grow();
    // As an earlier attempt may have left it that QEMU did not answer in time.
    const auto bottom = hand->execute("query-named-block-nodes", {{"flat", true}});
    std::string node;
    for (const auto& one : *bottom)
        if (one.value("file", "") == (directory / "guest.ext4").string() && one.value("drv", "") == "raw")
            node = one.value("node-name", "");
    ASSERT_TRUE(hand->execute("block-stream", {{"job-id", "merge-root"},
                                               {"device", "root"},
                                               {"base-node", node},
                                               {"backing-file", (directory / "guest.ext4").string()},
                                               {"speed", 4 << 20},
                                               {"auto-dismiss", false}}));
    ChainMerge merge;
    merge.begin_if_due(*qmp, live);
    EXPECT_TRUE(merge.holds_up_checkpoint());
    until_ended(merge);
    EXPECT_EQ(overlays("root"), 1u);
    EXPECT_EQ(overlays("work"), 1u);
    EXPECT_EQ(file_names(live)->size(), 4u);
    ASSERT_TRUE(take());
    frozen_is_sound();
}

TEST_F(Merge, a_late_answer_is_not_taken_for_that_of_another_command) {
    vm.signal(SIGSTOP);
    EXPECT_FALSE(qmp->execute("query-status", nlohmann::json::object(), 50ms));
    vm.signal(SIGCONT);
    const auto jobs = qmp->execute("query-jobs");
    ASSERT_TRUE(jobs) << jobs.error().message;
    EXPECT_TRUE(jobs->is_array()) << *jobs;
}

} // namespace
} // namespace tlc
