// SPDX-License-Identifier: GPL-2.0-or-later
// Slurm's C header, with the hooks in C linkage too (the header declares them outside its own extern "C").
#pragma once

extern "C" {
#include <slurm/spank.h>
}
