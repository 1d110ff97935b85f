// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/channel_dirty_log.hpp>

#include <algorithm>

namespace tlc {

Status ChannelDirtyLog::sync(bool hold) {
    TLC_TRY(channel_.send(Sync{hold}, limit_));
    TLC_TRY_ASSIGN(synced, channel_.expect<Synced>(limit_));
    if (hold) held_since_ns_ = synced.message.began_ns;
    return {};
}

Status ChannelDirtyLog::release() {
    TLC_TRY(channel_.send(Release{}, limit_));
    TLC_TRY_ASSIGN(released, channel_.expect<Released>(limit_));
    longest_hold_ns_ = std::max(longest_hold_ns_, released.message.released_ns - held_since_ns_);
    return {};
}

} // namespace tlc
