// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's wall clock. A restored guest goes on with the time of its checkpoint; the machine's real-time
// clock follows the host across a restore. Used by PID 1 only.
#pragma once

namespace tlc::guest {

// Steps the wall clock to the real-time clock when they differ by more than two seconds; true if it did.
bool follow_host_clock();

// Gives the kernel's random number generator fresh seed from the host, so that two restores of one
// checkpoint do not draw the same numbers.
void reseed_random();

} // namespace tlc::guest
