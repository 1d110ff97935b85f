// SPDX-License-Identifier: GPL-2.0-or-later
// Any line between supervisor and engine: as an answer and as a request.
#include <tlc/supervisor/engine_answer.hpp>

#include "../../tlc-engine/engine/save_request.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto line = tlc::fuzz::text(data, size);
    const auto answer = tlc::parse_engine_answer(line);
    if (answer) tlc::fuzz::require(answer->is_object(), "an answer is an object");
    if (!answer)
        tlc::fuzz::require(answer.error().exit_code() >= 1 && answer.error().exit_code() <= 7,
                           "an error has a kind");
    const auto request = tlc::parse_save_request(line);
    tlc::fuzz::require(!request || !request->out.empty(), "a request says where to");
    return 0;
}
