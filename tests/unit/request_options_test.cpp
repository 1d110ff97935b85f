// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/request/resolve.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::optional<std::string> no_environment(const char*) { return std::nullopt; }

tlc::Environment environment(std::map<std::string, std::string> values) {
    return [values = std::move(values)](const char* name) -> std::optional<std::string> {
        const auto found = values.find(name);
        if (found == values.end()) return std::nullopt;
        return found->second;
    };
}

std::string error_of(const tlc::GivenOptions& options, const tlc::Environment& twins = no_environment) {
    const auto result = tlc::resolve(options, twins);
    return result ? "no error" : result.error().message;
}

TEST(Options, TableIsWellFormed) {
    std::set<std::string> names;
    for (const auto& option : tlc::option_table()) {
        EXPECT_TRUE(names.insert(option.name).second) << option.name;
        std::string twin = std::string("TLC_") + option.name;
        for (char& c : twin)
            c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
        EXPECT_EQ(twin, option.environment);
        EXPECT_LE(std::string(option.name).size(), 75u);
    }
    EXPECT_STREQ(tlc::option_table().front().name, "vm-checkpoint");
}

TEST(Options, AllGiven) {
    const auto result = tlc::resolve({{"vm-checkpoint", "10m"},
                                      {"vm-image", "/i.ext4"},
                                      {"vm-checkpoint-dir", "ckpt"},
                                      {"vm-checkpoint-keep", "3"},
                                      {"vm-checkpoint-continue", ""},
                                      {"vm-checkpoint-buffer", "128M"},
                                      {"vm-memory", "1G"},
                                      {"vm-stage-in", "a,b/c"},
                                      {"vm-stage-out", "none"}},
                                     no_environment);
    ASSERT_TRUE(result) << result.error().message;
    const auto& request = result->request;
    EXPECT_EQ(request.interval, 10min);
    EXPECT_EQ(request.image, "/i.ext4");
    EXPECT_EQ(request.checkpoint_dir, "ckpt");
    EXPECT_EQ(request.keep, 3u);
    EXPECT_TRUE(request.continues);
    EXPECT_EQ(request.buffer_bytes, uint64_t{128} << 20);
    EXPECT_EQ(request.memory_bytes, uint64_t{1} << 30);
    EXPECT_THAT(request.stage_in, ElementsAre("a", "b/c"));
    EXPECT_TRUE(tlc::stages_nothing(request.stage_out));
    EXPECT_FALSE(tlc::stages_nothing(request.stage_in));
}

TEST(Options, NothingGivenIsAnOrdinaryJob) {
    const auto result = tlc::resolve({}, no_environment);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->request, tlc::JobRequest{});
}

TEST(Options, TwinWorksAndOptionBeatsIt) {
    const auto twins =
        environment({{"TLC_VM_CHECKPOINT", "5m"}, {"TLC_VM_MEMORY", "1G"}, {"TLC_VM_IMAGE", ""}});
    const auto alone = tlc::resolve({}, twins);
    ASSERT_TRUE(alone);
    EXPECT_EQ(alone->request.interval, 5min);
    EXPECT_EQ(alone->request.memory_bytes, uint64_t{1} << 30);
    EXPECT_EQ(alone->request.image, "");
    const auto both = tlc::resolve({{"vm-checkpoint", "1h"}, {"vm-memory", "2G"}}, twins);
    ASSERT_TRUE(both);
    EXPECT_EQ(both->request.interval, 1h);
    EXPECT_EQ(both->request.memory_bytes, uint64_t{2} << 30);
}

TEST(Options, AutoIsActiveAndHasNoInterval) {
    const auto result = tlc::resolve({{"vm-checkpoint", "auto"}}, no_environment);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_TRUE(result->request.automatic);
    EXPECT_TRUE(result->request.active());
    EXPECT_EQ(result->request.interval, 0s);
    const auto twin = tlc::resolve({}, environment({{"TLC_VM_CHECKPOINT", "auto"}}));
    ASSERT_TRUE(twin);
    EXPECT_TRUE(twin->request.automatic);
}

TEST(Options, TheLastOfTimeAutoAndOffCounts) {
    tlc::JobRequest request;
    const auto& option = tlc::option_table().front();
    ASSERT_TRUE(tlc::parse_option(option, "x", "auto", request));
    EXPECT_EQ(tlc::interval_text(request), "auto");
    ASSERT_TRUE(tlc::parse_option(option, "x", "10m", request));
    EXPECT_FALSE(request.automatic);
    EXPECT_EQ(tlc::interval_text(request), "600s");
    ASSERT_TRUE(tlc::parse_option(option, "x", "auto", request));
    EXPECT_EQ(request.interval, 0s);
    ASSERT_TRUE(tlc::parse_option(option, "x", "off", request));
    EXPECT_FALSE(request.active());
    EXPECT_EQ(tlc::interval_text(request), "off");
}

TEST(Options, TwinsOfAProfileDoNotTouchOrdinaryJobs) {
    const auto result = tlc::resolve({}, environment({{"TLC_VM_MEMORY", "banana"}}));
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->request.active());
}

TEST(Options, OffBeatsTheTwinAndNamesWhatItIgnores) {
    const auto result = tlc::resolve({{"vm-checkpoint", "off"}, {"vm-memory", "1G"}},
                                     environment({{"TLC_VM_CHECKPOINT", "5m"}}));
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->request.active());
    EXPECT_THAT(result->ignored, ElementsAre("--vm-memory"));
}

TEST(Options, OthersWithoutCheckpointAreNamed) {
    EXPECT_THAT(error_of({{"vm-image", "x"}, {"vm-memory", "1G"}}),
                AllOf(StartsWith("--vm-image, --vm-memory without --vm-checkpoint"),
                      HasSubstr("write --vm-checkpoint=10m")));
}

TEST(Options, ErrorsNameTheSourceAndSayWhatToWrite) {
    EXPECT_THAT(error_of({{"vm-checkpoint", "banana"}}),
                StartsWith("--vm-checkpoint: invalid time \"banana\" (write for example"));
    EXPECT_THAT(error_of({{"vm-checkpoint", "automatic"}}), AllOf(HasSubstr("10m"), HasSubstr("auto")));
    EXPECT_THAT(error_of({{"vm-checkpoint", "4s"}}), HasSubstr("write 5s or more"));
    EXPECT_THAT(error_of({}, environment({{"TLC_VM_CHECKPOINT", "x"}})), StartsWith("TLC_VM_CHECKPOINT: "));
    const std::pair<const char*, const char*> bad[] = {
        {"vm-image", ""},
        {"vm-checkpoint-dir", ""},
        {"vm-checkpoint-keep", "1"},
        {"vm-checkpoint-keep", "x"},
        {"vm-checkpoint-keep", "9999"},
        {"vm-checkpoint-continue", "maybe"},
        {"vm-checkpoint-buffer", "1M"},
        {"vm-memory", "x"},
        {"vm-memory", "1M"},
        {"vm-stage-in", "/etc/passwd"},
        {"vm-stage-in", "a/../b"},
        {"vm-stage-in", "a,,b"},
        {"vm-stage-in", ""},
        {"vm-stage-out", ".."},
        {"vm-stage-out", "none,a"},
    };
    for (const auto& [name, text] : bad)
        EXPECT_THAT(error_of({{"vm-checkpoint", "10m"}, {name, text}}),
                    AllOf(StartsWith(std::string("--") + name + ": "),
                          testing::AnyOf(HasSubstr("write"), HasSubstr("copy"))))
            << text;
}

TEST(Options, BufferAboveMemory) {
    EXPECT_THAT(error_of({{"vm-checkpoint", "10m"}, {"vm-memory", "256M"}, {"vm-checkpoint-buffer", "1G"}}),
                AllOf(StartsWith("--vm-checkpoint-buffer: "), HasSubstr("256M or less")));
}

tlc::JobRequest read_again(const tlc::JobRequest& request) {
    tlc::GivenOptions given;
    for (const auto& option : tlc::to_options(request)) {
        const auto equals = option.find('=');
        given[option.substr(2, equals - 2)] = option.substr(equals + 1);
    }
    const auto result = tlc::resolve(given, no_environment);
    EXPECT_TRUE(result) << result.error().message;
    return result ? result->request : tlc::JobRequest{};
}

TEST(Options, GiveTheRequestTheyWereMadeOf) {
    tlc::JobRequest request;
    request.automatic = true;
    EXPECT_EQ(read_again(request), request);
    request.automatic = false;
    request.interval = 90s;
    request.image = "/images/a b.img";
    request.checkpoint_dir = "/ck";
    request.keep = 4;
    request.continues = true;
    request.buffer_bytes = uint64_t{65} << 20;
    request.memory_bytes = (uint64_t{512} << 20) + 4096;
    request.stage_in = {"a", "b/c"};
    request.stage_out = {"none"};
    EXPECT_EQ(read_again(request), request);
}

} // namespace
