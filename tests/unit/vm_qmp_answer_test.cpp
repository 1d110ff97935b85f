// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/vm/qmp_answer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tlc {
namespace {

using testing::HasSubstr;

std::optional<Result<nlohmann::json>> answer(std::string_view line) {
    auto object = parse_qmp_line(line);
    EXPECT_TRUE(object) << line;
    return qmp_answer(*object, "stop");
}

TEST(QmpGreeting, NamesTheVersion) {
    const auto greeting = parse_qmp_line(
        R"({"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": ""}}})");
    EXPECT_EQ(*qemu_version_in(*greeting), "10.0.13");
    EXPECT_EQ(*qemu_version_in(*parse_qmp_line(R"({"QMP":{"version":{"qemu":{"major":10}}}})")), "10.0.0");
    for (const char* line :
         {"{}", R"({"QMP":[]})", R"({"QMP":{"version":{"qemu":10}}})",
          R"({"QMP":{"version":{"qemu":{"major":"10"}}}})", R"({"QMP":{"version":{"qemu":{"major":-1}}}})"})
        EXPECT_FALSE(qemu_version_in(*parse_qmp_line(line))) << line;
}

TEST(QmpAnswer, IsAValueAnErrorOrNone) {
    EXPECT_EQ(**answer(R"({"return": {"running": true}})"), nlohmann::json({{"running", true}}));
    EXPECT_EQ((*answer(R"({"error": {"class": "GenericError", "desc": "no"}})")).error().message, "stop: no");
    EXPECT_THAT((*answer(R"({"error": {"desc": 7}})")).error().message, HasSubstr("without a reason"));
    EXPECT_FALSE(answer(R"({"event": "STOP"})"));
    EXPECT_FALSE(answer(R"({"error": "no object"})"));
    for (const char* line : {"", "[]", "7", "{", "{\"a\":\"\xff\"}"})
        EXPECT_FALSE(parse_qmp_line(line)) << line;
}

TEST(QmpAnswer, MayBeDeep) {
    constexpr size_t deep = 1'000'000;
    const auto value = answer("{\"return\":" + std::string(deep, '[') + std::string(deep, ']') + "}");
    ASSERT_TRUE(value);
    EXPECT_TRUE((*value)->is_array());
}

TEST(VmStatus, StandsWhereNothingIsSaid) {
    EXPECT_FALSE(vm_status_in(nlohmann::json::parse(R"({"running": false})")).running);
    EXPECT_TRUE(vm_status_in(nlohmann::json::parse(R"({"status": "io-error"})")).io_error);
    for (const char* text : {"{}", "5", "null", R"({"running": "no", "status": 7})"}) {
        const auto status = vm_status_in(nlohmann::json::parse(text));
        EXPECT_TRUE(status.running) << text;
        EXPECT_FALSE(status.io_error) << text;
    }
}

TEST(VmDisks, HaveFailedOnlyIfOneSaysSo) {
    EXPECT_TRUE(io_failed_in(nlohmann::json::parse(R"([{"io-status": "ok"}, {"io-status": "failed"}])")));
    for (const char* text :
         {"[]", "5", "null", R"([7, {"io-status": 7}, {"device": "root"}, {"io-status": "nospace"}])"})
        EXPECT_FALSE(io_failed_in(nlohmann::json::parse(text))) << text;
}

} // namespace
} // namespace tlc
