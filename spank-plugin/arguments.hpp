// SPDX-License-Identifier: GPL-2.0-or-later
// The plugin's arguments in plugstack.conf: launcher=PATH, config=PATH and devices=none.
#pragma once

#include <tlc/base/result.hpp>

#include <string>

namespace tlc::spank {

struct Arguments {
    std::string launcher = TLC_BINDIR "/tlc-run";
    std::string config; // empty: the launcher's own default
    bool open_devices = true; // /dev/userfaultfd and /dev/kvm, as root for the job
    Status status;      // the first wrong argument; it only stops jobs that use the plugin
};

Arguments parse_arguments(int count, char** values);

} // namespace tlc::spank
