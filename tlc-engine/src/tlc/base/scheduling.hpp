// SPDX-License-Identifier: GPL-2.0-or-later
// How the calling thread shares the processors with the others. Both are wishes: what the kernel does not
// know or allow is left out.
#pragma once

namespace tlc {

// Somebody waits for what this thread does, which is little: it runs as soon as it wakes (Linux 6.12).
void answer_quickly();
// Much work that nobody waits for: it takes what others leave, about a quarter of a processor that is busy.
void work_in_background();

} // namespace tlc
