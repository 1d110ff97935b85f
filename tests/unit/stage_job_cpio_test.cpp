// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/process.hpp>
#include <tlc/stage/job_cpio.hpp>

#include <gtest/gtest.h>
#include <guest/job.hpp>
#include <sys/stat.h>

#include <fstream>

namespace fs = std::filesystem;
using namespace tlc;

namespace {

JobDescription job() {
    JobDescription job;
    job.argv = {"/job/script", "two words"};
    job.environment = {"A=b", "NL=one\ntwo", "LATIN=\xe9t\xe9"};
    job.cwd = "/home/u/dir";
    job.uid = 1000;
    job.gid = 1000;
    job.groups = {1000, 20};
    job.user = "u";
    job.group = "u";
    job.home = "/home/u";
    job.hostname = "n1";
    job.merge_output = true;
    job.umask = 077;
    return job;
}

} // namespace

TEST(StageJobCpio, TheGuestReadsWhatTheHostWrote) {
    auto text = job_json(job());
    ASSERT_TRUE(text);
    auto read = guest::parse_job(*text);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->argv, job().argv);
    EXPECT_EQ(read->environment, job().environment);
    EXPECT_EQ(read->groups, job().groups);
    EXPECT_EQ(read->umask, 077u);
    EXPECT_TRUE(read->merge_output);
}

TEST(StageJobCpio, ADirectoryThatIsNotTextIsAnError) {
    auto bad = job();
    bad.cwd = "/home/\xff";
    EXPECT_FALSE(job_json(bad));
}

TEST(StageJobCpio, OtherProgramsReadTheArchive) {
    const fs::path dir = fs::path(::testing::TempDir()) / "job_cpio";
    fs::remove_all(dir);
    fs::create_directories(dir);
    std::string script = "#!/bin/sh\nexit 7\n";
    script += std::string("\0\xff tail", 7);
    std::ofstream(dir / "script", std::ios::binary) << script;
    auto written = write_job_cpio(dir / "job.cpio", job(), dir / "script");
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(fs::file_size(dir / "job.cpio") % 512, 0u);
    auto unpacked = run({"sh", "-c", "cd '" + dir.string() + "' && cpio --quiet -idm < job.cpio"});
    ASSERT_TRUE(unpacked);
    EXPECT_EQ(unpacked->status.code, 0) << unpacked->text;
    EXPECT_EQ(*read_text(dir / "job/script"), script);
    EXPECT_EQ(*read_text(dir / "job/job.json"), *job_json(job()));
    struct stat info {};
    ASSERT_EQ(::stat((dir / "job/script").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700u);
}
