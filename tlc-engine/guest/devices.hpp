// SPDX-License-Identifier: GPL-2.0-or-later
// The devices the host made for us: disks by their serial, ports by their name. Used by PID 1 only.
#pragma once

#include <tlc/base/fd.hpp>

#include <string>
#include <string_view>

namespace tlc::guest {

// "/dev/vdX" of the virtio disk with this serial; waits some seconds for it to appear.
Result<std::string> find_disk(std::string_view serial);

// A port can be opened once at a time. `control` blocks, the others do not.
struct Ports {
    Fd out, err, control, command;
};

// Opens the control port first, into `ports` at once, so that a later error can be told through it.
Status open_ports(Ports& ports);

} // namespace tlc::guest
