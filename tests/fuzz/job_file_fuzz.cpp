// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as job.json or result.json: refused, or written back to the same text.
#include <tlc/supervisor/job_file.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto text = tlc::fuzz::text(data, size);
    (void)tlc::parse_job_result(text);
    const auto file = tlc::parse_job_file(text, "/checkpoints/cluster-1");
    if (!file) return 0;
    const auto written = tlc::job_file_text(*file);
    const auto again = tlc::parse_job_file(written, "/checkpoints/cluster-1");
    tlc::fuzz::require(again && tlc::job_file_text(*again) == written, "a file that was read can be written");
    return 0;
}
