// SPDX-License-Identifier: GPL-2.0-or-later
#include "report.hpp"

#include <tlc/base/units.hpp>

namespace tlc {

nlohmann::json as_json(const SaveReport& r) {
    auto older = nlohmann::json::array();
    for (const auto& file : r.older)
        older.push_back({{"file", older_file_name(file.identity)}, {"identity", file.identity}});
    return {{"identity", r.identity},
            {"parent", r.parent},
            {"older", older},
            {"digest", r.digest},
            {"disk_sums", r.disk_sums},
            {"created", r.created},
            {"machine", r.machine},
            {"qemu_version", r.qemu_version},
            {"capture", r.capture},
            {"fallback", r.fallback},
            {"pause_ms", r.pause_ms},
            {"hold_ms", r.hold_ms},
            {"latency_ms", r.latency_ms},
            {"goes_on", r.goes_on},
            {"ram_bytes", r.ram_bytes},
            {"stored_bytes", r.stored_bytes},
            {"file_bytes", r.file_bytes},
            {"pages_copied", r.pages_copied},
            {"pages_saved", r.pages_saved},
            {"pages_older", r.pages_older},
            {"pages_zero", r.pages_zero},
            {"faults", r.faults},
            {"buffer_peak_bytes", r.buffer_peak_bytes},
            {"exposed_bytes", r.exposed_bytes},
            {"working_set_pages", r.working_set_pages},
            {"table_pages", r.table_pages},
            {"skipped_opt1", r.skipped_opt1},
            {"skipped_opt2", r.skipped_opt2}};
}

nlohmann::json as_json(const LoadReport& r) {
    nlohmann::json object{
        {"running_ms", r.running_ms}, {"latency_ms", r.latency_ms},     {"lazy", r.lazy},
        {"ram_bytes", r.ram_bytes},   {"pages_loaded", r.pages_loaded}, {"faults", r.faults}};
    if (!r.fallback.empty()) object["fallback"] = r.fallback;
    return object;
}

nlohmann::json as_json(const CarryReport& r) {
    return {{"memory_bytes", r.memory_bytes}, {"disk_bytes", r.disk_bytes}, {"latency_ms", r.latency_ms}};
}

nlohmann::json error_as_json(const Error& error) {
    return {{"error", error.message}, {"exit_code", error.exit_code()}};
}

std::string as_line(const nlohmann::json& object) {
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void print_for_people(const SaveReport& r) {
    fmt::print("capture  {}\n", r.capture);
    if (r.hold_ms > 0) fmt::print("holds    {:.1f} ms at most, before the pause\n", r.hold_ms);
    fmt::print("pause    {:.1f} ms\nlatency  {:.0f} ms\nmemory   {}, stored in {} ({} pages, {} "
               "zero)\nfaults   {}\nbuffer   {} at most\n",
               r.pause_ms, r.latency_ms, size_text(r.ram_bytes), size_text(r.stored_bytes), r.pages_saved,
               r.pages_zero, r.faults, size_text(r.buffer_peak_bytes));
}

void print_for_people(const LoadReport& r) {
    fmt::print("running  after {:.0f} ms\n", r.running_ms);
    fmt::print("restored {} ({} pages) in {:.0f} ms", size_text(r.ram_bytes), r.pages_loaded, r.latency_ms);
    if (r.lazy) fmt::print("; the VM waited {} times for a page", r.faults);
    fmt::print("\n");
}

void print_for_people(const CarryReport& r) {
    fmt::print("carried  {} of memory, {} of disk in {:.0f} ms\n", size_text(r.memory_bytes),
               size_text(r.disk_bytes), r.latency_ms);
}

} // namespace tlc
