// SPDX-License-Identifier: GPL-2.0-or-later
// tlc-domain: makes a site's domain XML into arguments for QEMU, for tlc-run. A program of its own, so that
// libvirt is loaded only where it is wanted. The last line it prints is JSON: "arguments", or "error".
#include <tlc/base/files.hpp>
#include <tlc/base/private_directory.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdlib>
#include <grp.h>
#include <unistd.h>

#include "conversion.hpp"
#include "domain_template.hpp"

namespace {

using namespace tlc;

// As root libvirt wants a system service's user and directories; nothing here needs root's rights.
Status leave_root() {
    constexpr unsigned nobody = 65534;
    if (::geteuid() != 0) return {};
    if (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0)
        return fail_errno(errno, "cannot become nobody");
    return {};
}

Result<std::vector<std::string>> convert(const std::string& file, const JobDomain& job) {
    TLC_TRY_ASSIGN(text, read_text(file, size_t{1} << 20));
    TLC_TRY_ASSIGN(domain, merge_domain(file, text, job));
    TLC_TRY(leave_root());
    TLC_TRY_ASSIGN(root, PrivateDirectory::make());
    // All that libvirt keeps and looks for is below its root.
    for (const auto* name : {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"})
        ::setenv(name, root.path().c_str(), 1);
    return qemu_arguments(domain.xml, domain.has_cpu, root.path());
}

} // namespace

int main(int argc, char** argv) {
    std::string file;
    JobDomain job;
    CLI::App app{"Makes a domain template into QEMU's arguments, for tlc-run.", "tlc-domain"};
    app.set_version_flag("--version", TLC_VERSION);
    app.add_option("--template", file)->required();
    app.add_option("--qemu", job.qemu)->required();
    app.add_option("--machine", job.machine)->required();
    app.add_option("--accelerator", job.accelerator)->required();
    app.add_option("--vcpus", job.vcpus)->required();
    app.add_option("--memory-mebibytes", job.memory_mebibytes)->required();
    CLI11_PARSE(app, argc, argv);
    const auto arguments = convert(file, job);
    const auto answer = arguments ? nlohmann::json{{"arguments", *arguments}}
                                  : nlohmann::json{{"error", arguments.error().message}};
    fmt::print("\n{}\n", answer.dump());
    return arguments ? 0 : arguments.error().exit_code();
}
