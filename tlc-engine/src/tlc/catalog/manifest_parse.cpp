// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/catalog/manifest.hpp>
#include <tlc/catalog/manifest_checksum.hpp>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>

namespace tlc {
namespace {

using nlohmann::json;

constexpr int max_depth = 32;

// Reads the keys of one JSON object. The first thing wrong is kept; done() also refuses keys nobody asked
// for.
class Object {
  public:
    Object(const json& value, std::string name) : value_(value), name_(std::move(name)) {
        if (!value.is_object()) wrong("is not an object");
    }

    void get(const char* key, std::string& to) {
        if (const json* v = take(key, "a text", &json::is_string)) to = v->get<std::string>();
    }
    void get(const char* key, uint64_t& to) {
        if (const json* v = take(key, "a number without sign", &json::is_number_unsigned))
            to = v->get<uint64_t>();
    }
    void get(const char* key, int64_t& to) {
        const json* v = take(key, "a whole number", &json::is_number_integer);
        if (v == nullptr) return;
        if (v->is_number_unsigned() && v->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
            wrong(fmt::format("has a number out of range in \"{}\"", key));
        else
            to = v->get<int64_t>();
    }
    void get(const char* key, double& to) {
        const json* v = take(key, "a number", &json::is_number);
        if (v == nullptr) return;
        to = v->get<double>();
        if (!std::isfinite(to) || to < 0) wrong(fmt::format("has a number out of range in \"{}\"", key));
    }
    void get(const char* key, std::vector<std::string>& to) {
        const json* v = take(key, "a list", &json::is_array);
        if (v == nullptr) return;
        for (const auto& item : *v) {
            if (!item.is_string()) return wrong(fmt::format("has something other than texts in \"{}\"", key));
            to.push_back(item.get<std::string>());
        }
    }
    void get_object(const char* key, json& to) {
        if (const json* v = take(key, "an object", &json::is_object)) to = *v;
    }
    // A file name in a directory we own: one component, not hidden.
    void get_name(const char* key, std::string& to) {
        get(key, to);
        if (ok() && !is_name(to)) wrong(fmt::format("has a path instead of a plain name in \"{}\"", key));
    }
    // The value under a key, for a nested Object; null if it is missing.
    const json& nested(const char* key) {
        static const json nothing;
        const json* v = take(key, "there", nullptr);
        return v ? *v : nothing;
    }

    static bool is_name(const std::string& text) {
        return !text.empty() && text.size() <= 255 && text.front() != '.' &&
               std::none_of(text.begin(), text.end(),
                            [](char c) { return c == '/' || static_cast<unsigned char>(c) < 0x20; });
    }

    void wrong(std::string_view what) {
        if (error_.empty()) error_ = fmt::format("{} {}", name_, what);
    }
    bool ok() const { return error_.empty(); }
    Status done() {
        if (ok())
            for (const auto& item : value_.items())
                if (taken_.count(item.key()) == 0)
                    wrong(fmt::format("has an unknown key \"{}\"", item.key()));
        if (ok()) return {};
        return fail(ErrorKind::damaged, "{}", error_);
    }

  private:
    const json* take(const char* key, const char* what, bool (json::*is)() const noexcept) {
        if (!ok()) return nullptr;
        taken_.insert(key);
        const auto found = value_.find(key);
        if (found == value_.end()) {
            wrong(fmt::format("has no \"{}\"", key));
            return nullptr;
        }
        if (is != nullptr && !((*found).*is)()) {
            wrong(fmt::format("has something in \"{}\" that is not {}", key, what));
            return nullptr;
        }
        return &*found;
    }

    const json& value_;
    std::string name_;
    std::string error_;
    std::set<std::string, std::less<>> taken_;
};

// A JSON object of plain names and sizes.
Status read_files(const json& files, std::string_view where, std::map<std::string, uint64_t>& to) {
    for (const auto& item : files.items()) {
        if (!Object::is_name(item.key()) || !item.value().is_number_unsigned())
            return fail(ErrorKind::damaged, "{} has an invalid entry for a file", where);
        to[item.key()] = item.value().get<uint64_t>();
    }
    return {};
}

Status read_disk(const json& value, uint64_t version, std::optional<Manifest::Disk>& to) {
    if (value.is_null()) return {};
    auto& disk = to.emplace();
    Object object(value, "disk");
    object.get("kind", disk.kind);
    object.get_name("path", disk.path);
    json files = json::object();
    object.get_object("files", files);
    if (version >= 3) object.get("sums", disk.sums);
    json packs = json::object();
    if (version >= 3 && disk.kind == packed_kind) object.get_object("packs", packs);
    TLC_TRY(object.done());
    TLC_TRY(read_files(packs, "disk", disk.packs));
    return read_files(files, "disk", disk.files);
}

Status read_parts(Object& top, uint64_t version, Manifest& m) {
    Object memory(top.nested("memory"), "memory");
    memory.get_name("file", m.memory.file);
    memory.get("size", m.memory.size);
    memory.get("digest", m.memory.digest);
    memory.get("identity", m.memory.identity);
    json older = json::object();
    if (version >= 2) memory.get_object("older", older);
    TLC_TRY(memory.done());
    TLC_TRY(read_files(older, "memory", m.memory.older));
    TLC_TRY(read_disk(top.nested("disk"), version, m.disk));
    Object console(top.nested("console"), "console");
    console.get("stdout", m.console.stdout_bytes);
    console.get("stderr", m.console.stderr_bytes);
    console.get("control", m.console.control_bytes);
    TLC_TRY(console.done());
    Object sizes(top.nested("sizes"), "sizes");
    sizes.get("ram_bytes", m.sizes.ram_bytes);
    sizes.get("stored_bytes", m.sizes.stored_bytes);
    sizes.get("pages_saved", m.sizes.pages_saved);
    sizes.get("pages_zero", m.sizes.pages_zero);
    return sizes.done();
}

Status read_machine(Object& top, Manifest& m) {
    Object vm(top.nested("vm"), "vm");
    vm.get("machine", m.vm.machine);
    vm.get("cpu", m.vm.cpu);
    vm.get("accel", m.vm.accel);
    vm.get("vcpus", m.vm.vcpus);
    vm.get("memory_bytes", m.vm.memory_bytes);
    vm.get("qemu_version", m.vm.qemu_version);
    vm.get("qemu_arguments", m.vm.qemu_arguments);
    TLC_TRY(vm.done());
    Object image(top.nested("image"), "image");
    image.get("path", m.image.path);
    image.get("size", m.image.size);
    image.get("mtime_ns", m.image.mtime_ns);
    TLC_TRY(image.done());
    Object timings(top.nested("timings"), "timings");
    timings.get("pause_ms", m.timings.pause_ms);
    timings.get("latency_ms", m.timings.latency_ms);
    return timings.done();
}

// Valid JSON of bounded depth, or nothing.
json parse_text(std::string_view text) {
    bool deep = false;
    const auto watch = [&deep](int depth, json::parse_event_t, json&) {
        deep = deep || depth > max_depth;
        return !deep;
    };
    json value = json::parse(text, watch, false);
    return deep ? json(json::value_t::discarded) : value;
}

} // namespace

Result<Manifest> parse_manifest(std::string_view text) {
    if (text.size() > manifest_limit)
        return fail(ErrorKind::damaged, "the manifest is larger than {} bytes", manifest_limit);
    const json value = parse_text(text);
    if (!value.is_object()) return fail(ErrorKind::damaged, "the manifest is not valid JSON");

    Manifest m;
    Object top(value, "the manifest");
    uint64_t version = 0;
    top.get("format_version", version);
    if (version > manifest_version)
        return fail(ErrorKind::incompatible,
                    "manifest version {} is newer than this program's {}: use a newer one", version,
                    manifest_version);
    if (version == 0) return fail(ErrorKind::damaged, "the manifest has no valid format_version");
    std::string sum;
    top.get("checksum", sum);
    TLC_TRY_ASSIGN(actual, manifest_checksum(value));
    if (top.ok() && sum != actual) return fail(ErrorKind::damaged, "the manifest's checksum does not match");

    top.get("sequence", m.sequence);
    top.get("epoch", m.epoch);
    top.get("created", m.created);
    top.get("cluster", m.cluster);
    top.get("job_id", m.job_id);
    top.get_object("job", m.job);
    TLC_TRY(read_parts(top, version, m));
    TLC_TRY(read_machine(top, m));
    TLC_TRY(top.done());
    return m;
}

} // namespace tlc
