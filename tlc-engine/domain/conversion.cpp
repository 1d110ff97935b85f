// SPDX-License-Identifier: GPL-2.0-or-later
#include "conversion.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <wordexp.h>

namespace tlc {
namespace {

std::string libvirt_error() {
    const auto* error = virGetLastError();
    return error && error->message ? error->message : "no reason given";
}

// libvirt answers with a line for a shell.
Result<std::vector<std::string>> words(const std::string& line) {
    wordexp_t split{};
    if (::wordexp(line.c_str(), &split, WRDE_NOCMD) != 0)
        return fail("libvirt's command line cannot be read: {}", line);
    std::vector<std::string> all(split.we_wordv, split.we_wordv + split.we_wordc);
    ::wordfree(&split);
    return all;
}

bool is_libvirts_own(std::string_view option, std::string_view value) {
    const auto has = [value](std::string_view part) { return value.find(part) != std::string_view::npos; };
    return (option == "-chardev" && has("id=charmonitor,")) ||
           (option == "-mon" && has("chardev=charmonitor")) || (option == "-object" && has("\"masterKey0\""));
}

Status check_argument(std::string_view argument) {
    // By which arguments of <qemu:commandline> would undo what keeps a VM checkpointable, or in tlc-run's
    // hands.
    constexpr std::array<std::string_view, 12> bad = {"vhost",      "vfio",           "mem-path",  "hugetlb",
                                                      "share=on",   "\"share\":true", "-incoming", "-loadvm",
                                                      "-daemonize", "-drive",         "-blockdev", "-runas"};
    for (const auto part : bad)
        if (argument.find(part) != std::string_view::npos)
            return fail(
                ErrorKind::usage,
                "the domain template leads to QEMU's argument \"{}\": with \"{}\" a job's VM cannot be "
                "checkpointed or restored",
                argument, part);
    return {};
}

Result<std::vector<std::string>> own_arguments(const std::vector<std::string>& all, bool keep_cpu) {
    // First assignments of environment variables, then QEMU.
    size_t at = 0;
    while (at < all.size() && !all[at].starts_with('/'))
        ++at;
    std::vector<std::string> kept{"-no-reboot"};
    for (++at; at < all.size(); ++at) {
        TLC_TRY(check_argument(all[at]));
        // The VM is not held back at its start, and ends when the guest ends it.
        if (all[at] == "-S" || all[at] == "-no-shutdown") continue;
        const bool last = at + 1 == all.size();
        if (!last && (all[at] == "-accel" || (all[at] == "-cpu" && !keep_cpu) ||
                      is_libvirts_own(all[at], all[at + 1]))) {
            ++at;
            continue;
        }
        kept.push_back(all[at]);
    }
    return kept;
}

} // namespace

Result<std::vector<std::string>> qemu_arguments(const std::string& domain_xml, bool keep_cpu,
                                                const std::filesystem::path& root) {
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    if (virEventRegisterDefaultImpl() < 0) return fail("libvirt does not start: {}", libvirt_error());
    const std::unique_ptr<virConnect, int (*)(virConnectPtr)> connection(
        virConnectOpen(("qemu:///embed?root=" + root.string()).c_str()), virConnectClose);
    if (!connection) return fail("libvirt's QEMU driver does not start: {}", libvirt_error());
    const std::unique_ptr<char, void (*)(void*)> line(
        virConnectDomainXMLToNative(connection.get(), "qemu-argv", domain_xml.c_str(), 0), std::free);
    if (!line)
        return fail(ErrorKind::usage, "libvirt cannot make a VM of the domain template: {}", libvirt_error());
    TLC_TRY_ASSIGN(all, words(line.get()));
    return own_arguments(all, keep_cpu);
}

} // namespace tlc
