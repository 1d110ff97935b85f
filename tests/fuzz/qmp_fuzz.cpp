// SPDX-License-Identifier: GPL-2.0-or-later
// Any lines as what QEMU's monitor says: each is a greeting, an answer, an event, or refused.
#include <tlc/vm/qmp_answer.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    tlc::fuzz::each_line(tlc::fuzz::text(data, size), [](std::string_view line) {
        auto object = tlc::parse_qmp_line(line);
        if (!object) return;
        const auto version = tlc::qemu_version_in(*object);
        tlc::fuzz::require(!version || version->find_first_not_of("0123456789.") == std::string::npos,
                           "a version is numbers");
        const auto answer = tlc::qmp_answer(*object, "query-status");
        if (answer && *answer) (void)tlc::vm_status_in(**answer);
    });
    return 0;
}
