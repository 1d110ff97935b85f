// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/request/request.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;

TEST(RequestText, RoundTrip) {
    tlc::JobRequest request;
    EXPECT_EQ(tlc::to_text(request), "interval=0\n");
    EXPECT_EQ(tlc::from_text(tlc::to_text(request)), request);
    request.interval = 90s;
    request.image = "/a b/100%,\nodd=\x7f.ext4";
    request.checkpoint_dir = "/ck\xc3\xa9";
    request.keep = 4;
    request.continues = true;
    request.requeues = true;
    request.buffer_bytes = 1 << 27;
    request.memory_bytes = uint64_t{1} << 40;
    request.stage_in = {"a,b", "c%2Cd", "e"};
    request.stage_out = {"none"};
    const auto text = tlc::to_text(request);
    const auto back = tlc::from_text(text);
    ASSERT_TRUE(back) << back.error().message << "\n" << text;
    EXPECT_EQ(*back, request);
}

TEST(RequestText, Auto) {
    tlc::JobRequest request;
    request.automatic = true;
    EXPECT_EQ(tlc::to_text(request), "interval=auto\n");
    const auto back = tlc::from_text("interval=auto\n");
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, request);
    EXPECT_TRUE(back->active());
}

TEST(RequestText, StrictReader) {
    for (const char* text : {"",
                             "image=/x\n",
                             "interval=60\ncolour=red\n",
                             "interval=60\ninterval=60\n",
                             "interval=\n",
                             "interval=-1\n",
                             "interval=60s\n",
                             "interval=automatic\n",
                             "interval=auto \n",
                             "interval=auto\ninterval=60\n",
                             "interval=60\nkeep=0\n",
                             "interval=60\ncontinue=no\n",
                             "interval=60\nimage=\n",
                             "interval=60\nimage=%\n",
                             "interval=60\nimage=%4\n",
                             "interval=60\nimage=%zz\n",
                             "interval=60\nimage=%00\n",
                             "interval=60\n\n",
                             "interval=60\nstage_in=a,,b\n",
                             "interval=60\nmemory=99999999999999999999999\n",
                             "interval 60\n"}) {
        const auto value = tlc::from_text(text);
        EXPECT_FALSE(value) << text;
        if (!value) {
            EXPECT_EQ(value.error().kind, tlc::ErrorKind::damaged);
        }
    }
}

} // namespace
