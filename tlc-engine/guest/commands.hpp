// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of the command port (host to guest): {"command":"signal","number":15} and, for the script alone
// instead of its whole session, "to":"script". Bytes may be lost or cut by a restore, so whatever is not such
// a line is ignored.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tlc::guest {

struct SignalCommand {
    int number = 0;
    bool script_only = false;
};

class CommandReader {
  public:
    static constexpr size_t line_limit = 4096;

    // The commands completed by these bytes.
    std::vector<SignalCommand> feed(std::string_view bytes);
    // The host has gone: half a line is worth nothing.
    void reset();

  private:
    std::string line_;
    bool too_long_ = false;
};

} // namespace tlc::guest
