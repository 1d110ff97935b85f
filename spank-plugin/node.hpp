// SPDX-License-Identifier: GPL-2.0-or-later
// The plugin's work in slurmstepd, in the child that becomes the batch script. Other steps are left alone.
#pragma once

#include <tlc/request/request.hpp>

#include "arguments.hpp"
#include "spank.hpp"

namespace tlc::spank {

class Node {
  public:
    // As root: reads the job's request and opens the devices that the user may not open. Never fails: what
    // went wrong is kept for start(), because an error at this point would be reported in a place nobody
    // looks at.
    void prepare(spank_t spank, const Arguments& arguments);

    // As the user: puts the launcher in the batch script's place. An error makes the job fail.
    Status start(spank_t spank, const Arguments& arguments);

  private:
    Status read_request(spank_t spank);
    JobRequest request_;
    bool files_unchecked_ = false; // the request did not come through sbatch
    Status status_ = fail("the job's request was not read");
};

} // namespace tlc::spank
