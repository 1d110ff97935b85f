// SPDX-License-Identifier: GPL-2.0-or-later
// tlc-engine: takes checkpoints of a running VM, or loads one into a waiting QEMU.
#include <CLI/CLI.hpp>

#include "report.hpp"
#include "serve.hpp"

namespace {

using namespace tlc;

int tell(const Error& error, bool json) {
    if (json)
        fmt::print("{}\n", as_line(error_as_json(error)));
    else
        fmt::print(stderr, "tlc-engine: error: {}\n", error.message);
    return error.exit_code();
}

template <typename Report>
int tell(const Result<Report>& report, bool json) {
    if (!report) return tell(report.error(), json);
    if (json)
        fmt::print("{}\n", as_line(as_json(*report)));
    else
        print_for_people(*report);
    return 0;
}

struct Arguments {
    SaverOptions saver;
    SaveRequest request;
    uint64_t buffer_mib = 64;
    std::string capture = "auto";
    std::string compress = "auto";
    std::string qmp;
    LoadRequest load;
    uint64_t prefetch_mib = 0;
    CarryRequest carry;
    uint64_t carry_mib = 0;
    bool json = false;
};

void add_saver_options(CLI::App& command, Arguments& arguments) {
    command.add_option("--qmp", arguments.qmp, "QEMU's monitor socket")->required()->type_name("SOCKET");
    command.add_option("--buffer", arguments.buffer_mib, "memory for pages copied but not yet written")
        ->type_name("MiB")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command
        .add_option("--userfaultfd", arguments.saver.userfaultfd_device,
                    "device QEMU opens where userfaultfd(2) is not allowed")
        ->type_name("PATH");
    command
        .add_option("--capture", arguments.capture,
                    "how memory is taken: auto, cow, log:nonstop, log:onepass, log:MS, mem:MS")
        ->type_name("KIND")
        ->capture_default_str();
    command
        .add_option(
            "--compress", arguments.compress,
            "whether pages are compressed: auto (where it takes less time than it saves), always, never")
        ->type_name("WHEN")
        ->capture_default_str();
    command.add_flag("!--no-skip-known", arguments.saver.skip_known,
                     "capture by log: read pages that are in the table of dirty pages, too");
    command.add_flag("!--no-replace-older", arguments.saver.replace_older,
                     "capture by log: write the older copy of a page copied again in the pause, too");
}

int load(Arguments& arguments) {
    arguments.load.qmp_socket = arguments.qmp;
    arguments.load.prefetch_bytes_per_second = arguments.prefetch_mib << 20;
    const auto running = [&](const LoadReport& report) {
        if (!arguments.json) return;
        fmt::print("{}\n", as_line({{"running", true}, {"running_ms", report.running_ms}}));
        std::fflush(stdout);
    };
    return tell(load_checkpoint(arguments.load, running), arguments.json);
}

void add_carry(CLI::App& command, Arguments& arguments) {
    command.add_option("--from", arguments.carry.from, "directory of the checkpoint")
        ->required()
        ->type_name("DIR");
    command
        .add_option("--to", arguments.carry.to,
                    "an empty directory in another job's directory of the same job")
        ->required()
        ->type_name("DIR");
    command.add_option("--base", arguments.carry.base, "a checkpoint carried there before")->type_name("DIR");
    command
        .add_option("--epoch", arguments.carry.epoch,
                    "of the run that carries, if another has taken the checkpoint (0: the same)")
        ->type_name("N");
    command.add_option("--rate", arguments.carry_mib, "most that is copied a second (0: no limit)")
        ->type_name("MiB")
        ->check(CLI::Range(0, 1 << 20));
    command.add_flag("--json", arguments.json, "print one JSON object");
}

int run(int argc, char** argv) {
    Arguments arguments;
    CLI::App app{"Checkpoints a running QEMU (with the tlc patches) and restores it.", "tlc-engine"};
    app.set_version_flag("--version", TLC_VERSION);
    app.require_subcommand(1);

    auto* save_command = app.add_subcommand("save", "take a checkpoint; the VM goes on");
    add_saver_options(*save_command, arguments);
    save_command->add_option("--out", arguments.request.out, "directory the checkpoint is written to")
        ->required()
        ->type_name("DIR");
    save_command->add_option("--live", arguments.request.live, "snapshot this live disk in the same pause")
        ->type_name("DIR");
    save_command
        ->add_option("--disk", arguments.request.disk, "kind of the live disk: auto, btrfs, reflink, qcow2")
        ->type_name("KIND")
        ->capture_default_str();
    save_command->add_flag("--json", arguments.json, "print one JSON object");

    auto* serve_command = app.add_subcommand(
        "serve", "take checkpoints on request, each holding what has changed since the last one");
    serve_command->footer("Requests are JSON objects, one a line on standard input:\n"
                          "  {\"out\": DIR, \"live\": DIR, \"disk\": KIND}\n"
                          "and each is answered by one line, as save --json prints it.");
    add_saver_options(*serve_command, arguments);

    auto* load_command =
        app.add_subcommand("load", "load a checkpoint into a QEMU started with -incoming defer");
    load_command->add_option("--qmp", arguments.qmp, "QEMU's monitor socket")
        ->required()
        ->type_name("SOCKET");
    load_command->add_option("--from", arguments.load.from, "directory of the checkpoint")
        ->required()
        ->type_name("DIR");
    load_command
        ->add_option("--userfaultfd", arguments.load.userfaultfd_device,
                     "device QEMU opens where userfaultfd(2) is not allowed")
        ->type_name("PATH");
    load_command->add_flag("!--eager", arguments.load.lazy, "load all memory before the VM runs");
    load_command
        ->add_option("--prefetch-rate", arguments.prefetch_mib,
                     "most that is read a second of what the VM does not wait for (0: as fast as it can be)")
        ->type_name("MiB")
        ->check(CLI::Range(0, 1 << 20));
    load_command->add_flag(
        "--json", arguments.json,
        "print a JSON object; before it {\"running\": true} when the VM runs and memory is "
        "still to come");

    auto* carry_command = app.add_subcommand(
        "carry", "copy a published checkpoint to another file system and publish it there");
    add_carry(*carry_command, arguments);

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::usage);
    }
    if (load_command->parsed()) return load(arguments);
    if (carry_command->parsed()) {
        arguments.carry.bytes_per_second = arguments.carry_mib << 20;
        return tell(carry_checkpoint(arguments.carry), arguments.json);
    }
    const auto choice = parse_capture_choice(arguments.capture);
    if (!choice) return tell(choice.error(), arguments.json);
    arguments.saver.capture = *choice;
    const auto compression = parse_compression(arguments.compress);
    if (!compression) return tell(compression.error(), arguments.json);
    arguments.saver.compression = *compression;
    arguments.saver.qmp_socket = arguments.qmp;
    arguments.saver.buffer_bytes = arguments.buffer_mib << 20;
    if (serve_command->parsed()) return serve(std::move(arguments.saver));
    return tell(Saver(std::move(arguments.saver)).save(arguments.request), arguments.json);
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        return tell(Error{ErrorKind::failed, error.what()}, false);
    }
}
