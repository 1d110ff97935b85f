// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/qmp_block_devices.hpp>

namespace tlc {
namespace {

constexpr auto patience = std::chrono::seconds(10);

} // namespace

Status QmpBlockDevices::connect() {
    if (qmp_) return {};
    TLC_TRY_ASSIGN(qmp, Qmp::connect(socket_, patience));
    qmp_.emplace(std::move(qmp));
    return {};
}

Result<std::string> QmpBlockDevices::active(const std::string& drive) {
    TLC_TRY(connect());
    TLC_TRY_ASSIGN(all, qmp_->execute("query-block", nlohmann::json::object(), patience));
    for (const auto& device : all)
        if (device.value("device", "") == drive && device.contains("inserted"))
            return device["inserted"].value("node-name", "");
    return fail("QEMU has no drive \"{}\"", drive);
}

// One transaction: all of them, or none.
Status QmpBlockDevices::switch_to(const std::vector<Overlay>& overlays) {
    TLC_TRY(connect());
    auto actions = nlohmann::json::array();
    for (const auto& overlay : overlays)
        actions.push_back({{"type", "blockdev-snapshot-sync"},
                           {"data",
                            {{"device", overlay.drive},
                             {"snapshot-file", overlay.file.string()},
                             {"snapshot-node-name", overlay.file.filename().string()},
                             {"format", "qcow2"},
                             {"mode", "existing"}}}});
    const auto done = qmp_->execute("transaction", {{"actions", std::move(actions)}}, patience);
    if (!done) return in_context(done.error(), "switching the VM's drives to new overlays");
    return {};
}

} // namespace tlc
