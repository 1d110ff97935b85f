// SPDX-License-Identifier: GPL-2.0-or-later
// tlc-engine serve: takes checkpoints on request until its standard input ends, and notes in between what the
// VM writes. One JSON object a line on standard input,
//     {"out": DIR, "live": DIR, "disk": KIND}     (live and disk may be left out)
// and for each one line on standard output: the report that `save --json` prints, or
//     {"error": TEXT, "exit_code": N}
// An error ends only that checkpoint. See SaveRequest for what the directories mean.
#pragma once

#include <tlc/checkpoint/saver.hpp>

namespace tlc {

int serve(SaverOptions options); // returns the exit code

} // namespace tlc
