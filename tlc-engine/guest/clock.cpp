// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/fd.hpp>

#include <guest/clock.hpp>
#include <linux/random.h>
#include <linux/rtc.h>
#include <sys/ioctl.h>

#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace tlc::guest {

bool follow_host_clock() {
    auto device = open_file("/dev/rtc0", O_RDONLY);
    rtc_time read{};
    if (!device || ::ioctl(device->get(), RTC_RD_TIME, &read) != 0) return false;
    tm fields{};
    fields.tm_sec = read.tm_sec;
    fields.tm_min = read.tm_min;
    fields.tm_hour = read.tm_hour;
    fields.tm_mday = read.tm_mday;
    fields.tm_mon = read.tm_mon;
    fields.tm_year = read.tm_year;
    const time_t host = ::timegm(&fields);
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (std::llabs(static_cast<long long>(host) - now.tv_sec) <= 2) return false;
    // The device counts whole seconds; the middle of the second is the best guess.
    const timespec stepped{host, 500'000'000};
    return ::clock_settime(CLOCK_REALTIME, &stepped) == 0;
}

void reseed_random() {
    // The layout of rand_pool_info, whose last member has no length.
    struct {
        int entropy_bits, size;
        unsigned char bytes[64];
    } seed{};
    auto source = open_file("/dev/hwrng", O_RDONLY | O_NONBLOCK);
    auto pool = open_file("/dev/urandom", O_WRONLY);
    if (!source || !pool) return;
    const ssize_t n = ::read(source->get(), seed.bytes, sizeof seed.bytes);
    if (n <= 0) return;
    seed.size = static_cast<int>(n);
    seed.entropy_bits = static_cast<int>(n * 8);
    (void)::ioctl(pool->get(), RNDADDENTROPY, &seed);
    (void)::ioctl(pool->get(), RNDRESEEDCRNG, 0);
}

} // namespace tlc::guest
