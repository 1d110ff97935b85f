// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <guest/accounts.hpp>
#include <guest/job.hpp>
#include <nlohmann/json.hpp>

using namespace tlc::guest;
using nlohmann::json;

namespace {

json good() {
    return {{"version", 1},
            {"argv", {"/job/script", "a b"}},
            {"environment", {"A=b", "NL=one\ntwo"}},
            {"cwd", "/home/u/dir"},
            {"uid", 1000},
            {"gid", 1001},
            {"groups", {1001, 5}},
            {"user", "u"},
            {"group", "g"},
            {"home", "/home/u"},
            {"hostname", "n1"},
            {"merge_output", true},
            {"tmp_on_work", false}};
}

std::string error_of(const json& object) {
    auto job = parse_job(object.dump());
    return job ? "" : job.error().message;
}

} // namespace

TEST(GuestJob, TakesEveryField) {
    auto job = parse_job(good().dump());
    ASSERT_TRUE(job) << job.error().message;
    EXPECT_EQ(job->argv, (std::vector<std::string>{"/job/script", "a b"}));
    EXPECT_EQ(job->environment[1], "NL=one\ntwo");
    EXPECT_EQ(job->uid, 1000u);
    EXPECT_EQ(job->gid, 1001u);
    EXPECT_EQ(job->groups, (std::vector<gid_t>{1001, 5}));
    EXPECT_TRUE(job->merge_output);
    EXPECT_EQ(job->umask, 022u);
}

TEST(GuestJob, TakesBytesThatAreNotText) {
    auto object = good();
    object["environment"] = {json::array({'A', '=', 200})};
    auto job = parse_job(object.dump());
    ASSERT_TRUE(job);
    EXPECT_EQ(job->environment[0], "A=\xc8");
    object["environment"] = {json::array({'A', '=', 300})};
    EXPECT_NE(error_of(object), "");
}

TEST(GuestJob, NamesTheBadField) {
    const auto whole = good();
    for (auto field = whole.begin(); field != whole.end(); ++field) {
        const std::string& key = field.key();
        auto object = good();
        object[key] = json::object();
        EXPECT_NE(error_of(object), "") << key;
        EXPECT_NE(error_of(object).find(key), std::string::npos) << key;
        object.erase(key);
        EXPECT_NE(error_of(object), "") << key;
    }
    EXPECT_FALSE(parse_job("[1,2"));
    EXPECT_FALSE(parse_job("[]"));
}

TEST(GuestJob, RefusesIdsThatMeanNobody) {
    auto object = good();
    object["uid"] = 4294967295u;
    EXPECT_NE(error_of(object).find("uid"), std::string::npos);
    object["uid"] = -1;
    EXPECT_NE(error_of(object).find("uid"), std::string::npos);
}

TEST(GuestJob, RefusesNulAndNamesWithSeparators) {
    auto object = good();
    object["environment"] = {std::string("A=\0b", 4)};
    EXPECT_NE(error_of(object).find("NUL"), std::string::npos);
    object = good();
    object["user"] = "u:0";
    EXPECT_NE(error_of(object).find("user"), std::string::npos);
}

TEST(GuestJob, WorkingDirectories) {
    for (const char* path : {"/home", "/tmp", "/home/u/a b", "/usr/local/x", "/procx"})
        EXPECT_TRUE(check_cwd(path)) << path;
    for (const char* path :
         {"/", "/usr", "/proc/1", "/dev/shm", "/run/user/1", "relative", "", "/a/../b", "/a//b", "/a/"})
        EXPECT_FALSE(check_cwd(path)) << path;
}

TEST(GuestAccounts, AddsUnknownOnesOnce) {
    auto job = *parse_job(good().dump());
    const std::string passwd = "root:x:0:0:root:/root:/bin/bash\n";
    const std::string with = with_user(passwd, job);
    EXPECT_EQ(with, "u:x:1000:1001::/home/u:/bin/bash\n" + passwd);
    EXPECT_EQ(with_user(with, job), with);
    const std::string groups = with_groups("tty:x:5:", job);
    EXPECT_EQ(groups, "g:x:1001:\ntty:x:5:");
    EXPECT_EQ(with_groups(groups, job), groups);
    job.groups = {1001, 7};
    EXPECT_EQ(with_groups("tty:x:5:", job), "g:x:1001:\ntty:x:5:\ng7:x:7:u\n");
}

TEST(GuestAccounts, TheUsersOwnLineWinsOverAnotherNameForItsId) {
    auto job = *parse_job(good().dump());
    EXPECT_EQ(with_user("other:x:1000:1::/:/bin/sh\n", job).find("u:x:1000"), 0u);
}

TEST(GuestAccounts, Hosts) {
    EXPECT_EQ(with_host("", "n1"), "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 n1\n");
    EXPECT_EQ(with_host("127.0.0.1 localhost n1", "n1"), "127.0.0.1 localhost n1\n");
}
