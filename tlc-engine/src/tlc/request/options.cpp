// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/units.hpp>
#include <tlc/request/options.hpp>

#include <charconv>
#include <filesystem>

namespace tlc {
namespace {

Status parse_checkpoint(std::string_view text, JobRequest& request) {
    request.interval = std::chrono::seconds(0);
    request.automatic = text == "auto";
    if (text == "off" || text == "auto") return {};
    const auto interval = parse_duration(text);
    if (!interval)
        return fail(ErrorKind::usage, "{}; auto chooses by itself, off switches it off",
                    interval.error().message);
    if (*interval < shortest_interval)
        return fail(ErrorKind::usage, "an interval of {} s is too short; write {}s or more",
                    interval->count(), shortest_interval.count());
    request.interval = *interval;
    return {};
}

Status parse_path(std::string_view text, std::string& to, const char* example) {
    if (text.empty()) return fail(ErrorKind::usage, "the path is empty; write for example {}", example);
    to = text;
    return {};
}

Status parse_image(std::string_view text, JobRequest& request) {
    return parse_path(text, request.image, "/shared/images/debian.ext4");
}

Status parse_directory(std::string_view text, JobRequest& request) {
    return parse_path(text, request.checkpoint_dir, "/shared/checkpoints");
}

Status parse_keep(std::string_view text, JobRequest& request) {
    unsigned count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || end != text.data() + text.size() || count > most_kept)
        return fail(ErrorKind::usage, "invalid number \"{}\" (write a whole number from {} to {})", text,
                    fewest_kept, most_kept);
    if (count < fewest_kept)
        return fail(
            ErrorKind::usage,
            "{} is too few: an older checkpoint must be there if the newest is damaged; write {} or more",
            count, fewest_kept);
    request.keep = count;
    return {};
}

Status parse_bytes(std::string_view text, uint64_t least, uint64_t& to) {
    TLC_TRY_ASSIGN(bytes, parse_size(text));
    if (bytes < least)
        return fail(ErrorKind::usage, "{} is too small; write {}M or more", size_text(bytes), least >> 20);
    to = bytes;
    return {};
}

Status parse_buffer(std::string_view text, JobRequest& request) {
    return parse_bytes(text, smallest_buffer, request.buffer_bytes);
}

Status parse_memory(std::string_view text, JobRequest& request) {
    return parse_bytes(text, smallest_memory, request.memory_bytes);
}

Status parse_continue(std::string_view text, JobRequest& request) {
    if (!text.empty() && text != "yes" && text != "no")
        return fail(ErrorKind::usage, "invalid value \"{}\" (write yes or no)", text);
    request.continues = text != "no";
    return {};
}

Status check_stage_path(std::string_view text) {
    const std::filesystem::path path(text);
    if (path.is_absolute())
        return fail(ErrorKind::usage,
                    "\"{}\" is an absolute path; write it relative to the submit directory (files elsewhere "
                    "must be copied or put into the guest image first)",
                    text);
    for (const auto& part : path)
        if (part == "..")
            return fail(ErrorKind::usage,
                        "\"{}\" leaves the submit directory; submit from a directory that holds the file, or "
                        "copy it there",
                        text);
    return {};
}

Status parse_stage(std::string_view text, std::vector<std::string>& to) {
    std::vector<std::string> list;
    for (size_t at = 0;;) {
        const size_t comma = text.find(',', at);
        const auto item = text.substr(at, comma - at);
        if (item.empty())
            return fail(ErrorKind::usage,
                        "empty path in \"{}\" (write for example data/input.csv,params, or none)", text);
        TLC_TRY(check_stage_path(item));
        list.emplace_back(item);
        if (comma == std::string_view::npos) break;
        at = comma + 1;
    }
    if (list.size() > 1)
        for (const auto& item : list)
            if (item == "none")
                return fail(ErrorKind::usage, "\"none\" stands alone; for a file of that name write ./none");
    to = std::move(list);
    return {};
}

Status parse_stage_in(std::string_view text, JobRequest& request) {
    return parse_stage(text, request.stage_in);
}
Status parse_stage_out(std::string_view text, JobRequest& request) {
    return parse_stage(text, request.stage_out);
}

} // namespace

const std::vector<OptionSpec>& option_table() {
    static const std::vector<OptionSpec> table = {
        {"vm-checkpoint", "time|auto|off",
         "run the job in a VM and take a checkpoint of it this often (90s, 10m, 2h, auto)",
         "TLC_VM_CHECKPOINT", parse_checkpoint},
        {"vm-image", "file", "guest image the job runs in", "TLC_VM_IMAGE", parse_image},
        {"vm-checkpoint-dir", "dir", "directory for checkpoints that all nodes can reach",
         "TLC_VM_CHECKPOINT_DIR", parse_directory},
        {"vm-checkpoint-keep", "n", "how many checkpoints to keep (2 or more)", "TLC_VM_CHECKPOINT_KEEP",
         parse_keep},
        {"vm-checkpoint-continue", "yes|no",
         "at its time limit, checkpoint the job and let Slurm start it again, until it has ended by itself",
         "TLC_VM_CHECKPOINT_CONTINUE", parse_continue, true},
        {"vm-checkpoint-buffer", "size", "memory for pages waiting to be written (64M or more)",
         "TLC_VM_CHECKPOINT_BUFFER", parse_buffer},
        {"vm-memory", "size", "memory of the VM (512M, 2G)", "TLC_VM_MEMORY", parse_memory},
        {"vm-stage-in", "paths", "files to bring into the VM, comma separated, or none", "TLC_VM_STAGE_IN",
         parse_stage_in},
        {"vm-stage-out", "paths", "files to bring back at the end, comma separated, or none",
         "TLC_VM_STAGE_OUT", parse_stage_out},
    };
    return table;
}

Status parse_option(const OptionSpec& option, std::string_view source, std::string_view text,
                    JobRequest& request) {
    if (const auto parsed = option.parse(text, request); !parsed) return in_context(parsed.error(), source);
    return {};
}

std::vector<std::string> to_options(const JobRequest& request) {
    std::vector<std::string> out{"--vm-checkpoint=" + interval_text(request)};
    const auto put = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) out.push_back(fmt::format("--{}={}", name, value));
    };
    const auto number = [](uint64_t value) { return value != 0 ? fmt::format("{}", value) : ""; };
    const auto size = [](uint64_t bytes) { return bytes != 0 ? fmt::format("{}K", bytes >> 10) : ""; };
    put("vm-image", request.image);
    put("vm-checkpoint-dir", request.checkpoint_dir);
    put("vm-checkpoint-keep", number(request.keep));
    put("vm-checkpoint-continue", request.continues ? "yes" : "");
    put("vm-checkpoint-buffer", size(request.buffer_bytes));
    put("vm-memory", size(request.memory_bytes));
    put("vm-stage-in", fmt::format("{}", fmt::join(request.stage_in, ",")));
    put("vm-stage-out", fmt::format("{}", fmt::join(request.stage_out, ",")));
    return out;
}

} // namespace tlc
