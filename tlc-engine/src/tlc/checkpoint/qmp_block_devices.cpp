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

// As QEMU opens the drives' first images.
Status QmpBlockDevices::add(const std::filesystem::path& overlay) {
    TLC_TRY(connect());
    const nlohmann::json cache{{"direct", false}, {"no-flush", false}};
    const nlohmann::json file{
        {"driver", "file"}, {"filename", overlay.string()}, {"discard", "unmap"}, {"cache", cache}};
    const auto done = qmp_->execute("blockdev-add",
                                    {{"driver", "qcow2"},
                                     {"node-name", overlay.filename().string()},
                                     {"discard", "unmap"},
                                     {"cache", cache},
                                     {"backing", nullptr}, // comes with the switch
                                     {"file", file}},
                                    patience);
    if (!done) return in_context(done.error(), fmt::format("QEMU cannot open {}", overlay.string()));
    return {};
}

void QmpBlockDevices::drop(const std::string& overlay) {
    if (connect()) (void)qmp_->execute("blockdev-del", {{"node-name", overlay}}, patience);
}

// One transaction: all of them, or none.
Status QmpBlockDevices::switch_all(const std::vector<Change>& changes) {
    TLC_TRY(connect());
    auto actions = nlohmann::json::array();
    for (const auto& change : changes)
        actions.push_back(
            {{"type", "blockdev-snapshot"}, {"data", {{"node", change.from}, {"overlay", change.to}}}});
    const auto done = qmp_->execute("transaction", {{"actions", std::move(actions)}}, patience);
    if (!done) return in_context(done.error(), "switching the VM's drives to new overlays");
    return {};
}

} // namespace tlc
