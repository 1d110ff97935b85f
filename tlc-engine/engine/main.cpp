// SPDX-License-Identifier: GPL-2.0-or-later
// tlc-engine: takes one checkpoint of a running VM, or loads one into a waiting QEMU, and ends.
#include <tlc/base/units.hpp>
#include <tlc/checkpoint/load.hpp>
#include <tlc/checkpoint/save.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace {

using namespace tlc;

void print_for_people(const SaveReport& r) {
    fmt::print("capture  {}\n", r.capture);
    if (r.hold_ms > 0) fmt::print("holds    {:.1f} ms at most, before the pause\n", r.hold_ms);
    fmt::print("pause    {:.1f} ms\nlatency  {:.0f} ms\nmemory   {}, stored in {} ({} pages, {} "
               "zero)\nfaults   {}\nbuffer   {} at most\n",
               r.pause_ms, r.latency_ms, size_text(r.ram_bytes), size_text(r.stored_bytes), r.pages_saved,
               r.pages_zero, r.faults, size_text(r.buffer_peak_bytes));
}

nlohmann::json as_json(const SaveReport& r) {
    return {{"identity", r.identity},
            {"digest", r.digest},
            {"created", r.created},
            {"machine", r.machine},
            {"qemu_version", r.qemu_version},
            {"capture", r.capture},
            {"fallback", r.fallback},
            {"pause_ms", r.pause_ms},
            {"hold_ms", r.hold_ms},
            {"latency_ms", r.latency_ms},
            {"ram_bytes", r.ram_bytes},
            {"stored_bytes", r.stored_bytes},
            {"file_bytes", r.file_bytes},
            {"pages_saved", r.pages_saved},
            {"pages_zero", r.pages_zero},
            {"faults", r.faults},
            {"buffer_peak_bytes", r.buffer_peak_bytes},
            {"exposed_bytes", r.exposed_bytes},
            {"working_set_pages", r.working_set_pages},
            {"table_pages", r.table_pages},
            {"skipped_opt1", r.skipped_opt1},
            {"skipped_opt2", r.skipped_opt2}};
}

int tell(const Error& error, bool json) {
    const nlohmann::json object{{"error", error.message}, {"exit_code", error.exit_code()}};
    if (json)
        fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    else
        fmt::print(stderr, "tlc-engine: error: {}\n", error.message);
    return error.exit_code();
}

int save(SaveRequest& request, uint64_t buffer_mib, const std::string& capture, bool json) {
    request.buffer_bytes = buffer_mib << 20;
    const auto choice = parse_capture_choice(capture);
    if (!choice) return tell(choice.error(), json);
    request.capture = *choice;
    const auto report = save_checkpoint(request);
    if (!report) return tell(report.error(), json);
    if (json)
        fmt::print("{}\n", as_json(*report).dump());
    else
        print_for_people(*report);
    return 0;
}

int load(const std::string& qmp, const std::string& from, bool json) {
    const auto report = load_checkpoint(qmp, from);
    if (!report) return tell(report.error(), json);
    if (json) {
        const nlohmann::json object{{"latency_ms", report->latency_ms},
                                    {"ram_bytes", report->ram_bytes},
                                    {"pages_loaded", report->pages_loaded}};
        fmt::print("{}\n", object.dump());
    } else {
        fmt::print("restored {} ({} pages) in {:.0f} ms\n", size_text(report->ram_bytes),
                   report->pages_loaded, report->latency_ms);
    }
    return 0;
}

int run(int argc, char** argv) {
    SaveRequest request;
    uint64_t buffer_mib = 64;
    std::string capture = "auto";
    std::string qmp;
    std::string from;
    bool json = false;
    CLI::App app{"Checkpoints a running QEMU (with the tlc patches) and restores it.", "tlc-engine"};
    app.set_version_flag("--version", TLC_VERSION);
    app.require_subcommand(1);

    auto* save_command = app.add_subcommand("save", "take a checkpoint; the VM goes on");
    save_command->add_option("--qmp", qmp, "QEMU's monitor socket")->required()->type_name("SOCKET");
    save_command->add_option("--out", request.out, "directory the checkpoint is written to")
        ->required()
        ->type_name("DIR");
    save_command->add_option("--buffer", buffer_mib, "memory for pages copied but not yet written")
        ->type_name("MiB")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    save_command->add_option("--live", request.live, "snapshot this live disk in the same pause")
        ->type_name("DIR");
    save_command
        ->add_option("--userfaultfd", request.userfaultfd_device,
                     "device QEMU opens where userfaultfd(2) is not allowed")
        ->type_name("PATH");
    save_command
        ->add_option("--capture", capture,
                     "how memory is taken: auto, cow, log:nonstop, log:onepass, log:MS, mem:MS")
        ->type_name("KIND")
        ->capture_default_str();
    save_command->add_flag("!--no-skip-known", request.skip_known,
                           "capture by log: read pages that are in the table of dirty pages, too");
    save_command->add_flag("!--no-replace-older", request.replace_older,
                           "capture by log: write the older copy of a page copied again in the pause, too");
    save_command->add_flag("--json", json, "print one JSON object");

    auto* load_command =
        app.add_subcommand("load", "load a checkpoint into a QEMU started with -incoming defer");
    load_command->add_option("--qmp", qmp, "QEMU's monitor socket")->required()->type_name("SOCKET");
    load_command->add_option("--from", from, "directory of the checkpoint")->required()->type_name("DIR");
    load_command->add_flag("--json", json, "print one JSON object");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::usage);
    }
    request.qmp_socket = qmp;
    return save_command->parsed() ? save(request, buffer_mib, capture, json) : load(qmp, from, json);
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        return tell(Error{ErrorKind::failed, error.what()}, false);
    }
}
