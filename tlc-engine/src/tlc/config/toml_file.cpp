// SPDX-License-Identifier: GPL-2.0-or-later
#include "toml_file.hpp"

#include <tlc/base/units.hpp>

#include <algorithm>
#include <optional>
#include <set>

// toml++ 3.3 takes some things for granted that a broken file is free to break ("[#", a date without its
// time). It shall neither end the program, as its assertions do, nor rely on them, as it does with NDEBUG.
namespace {
struct TomlAssertion {};
[[noreturn]] void refuse_toml() { throw TomlAssertion(); }
} // namespace
#undef NDEBUG
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : refuse_toml())
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace tlc {

struct TomlFile::Content {
    std::string name;
    toml::table root;
    std::set<std::string, std::less<>> taken;
    Status status;

    const toml::node* find(std::string_view key) {
        taken.emplace(key);
        return root.at_path(key).node();
    }

    void reject(const toml::node& node, std::string_view key, std::string_view what) {
        if (status)
            status = fail(ErrorKind::usage, "{}:{}: {}: {}", name, node.source().begin.line, key, what);
    }

    std::optional<std::string> text(std::string_view key, const char* example) {
        const auto* node = find(key);
        if (node == nullptr) return std::nullopt;
        const auto value = node->value_exact<std::string>();
        if (!value || value->empty()) {
            reject(*node, key, fmt::format("must be a text in quotes; write for example {}", example));
            return std::nullopt;
        }
        return value;
    }

    bool is_path(const toml::node& node, std::string_view key, const std::string& value) {
        if (value.starts_with('/')) return true;
        reject(node, key, fmt::format("\"{}\" is not an absolute path; write it from / on", value));
        return false;
    }

    void report_unknown(const toml::table& table, const std::string& prefix) {
        for (const auto& [key, node] : table) {
            const std::string name_of_key = prefix + std::string(key.str());
            if (taken.contains(name_of_key)) continue;
            const bool known_table = std::any_of(taken.begin(), taken.end(), [&](const std::string& known) {
                return known.starts_with(name_of_key + ".");
            });
            if (!known_table)
                reject(node, name_of_key, "unknown key; remove it, or see examples/tlc.toml for all keys");
            else if (const auto* inner = node.as_table())
                report_unknown(*inner, name_of_key + ".");
            else
                reject(node, name_of_key, fmt::format("must be a table; write [{}]", name_of_key));
        }
    }
};

TomlFile::TomlFile(std::unique_ptr<Content> content) : content_(std::move(content)) {}
TomlFile::TomlFile(TomlFile&&) noexcept = default;
TomlFile::~TomlFile() = default;

Result<TomlFile> TomlFile::parse(std::string_view text, const std::string& name) {
    std::optional<toml::parse_result> attempt;
    try {
        attempt = toml::parse(text, name);
    } catch (const TomlAssertion&) {
        return fail(ErrorKind::usage,
                    "{}: this is not TOML; look for a table without a name, as in \"[#\", or a broken date",
                    name);
    }
    auto& parsed = *attempt;
    if (!parsed)
        return fail(ErrorKind::usage, "{}:{}: {}", name, parsed.error().source().begin.line,
                    parsed.error().description());
    auto content = std::make_unique<Content>();
    content->name = name;
    content->root = std::move(parsed).table();
    return TomlFile(std::move(content));
}

void TomlFile::take_text(std::string_view key, std::string& to) {
    if (auto value = content_->text(key, "\"auto\"")) to = *value;
}

void TomlFile::take_path(std::string_view key, std::string& to) {
    const auto value = content_->text(key, "\"/usr/share/tlc/file\"");
    if (value && content_->is_path(*content_->find(key), key, *value)) to = *value;
}

void TomlFile::take_paths(std::string_view key, std::vector<std::string>& to) {
    const auto* node = content_->find(key);
    if (node == nullptr) return;
    const auto* array = node->as_array();
    if (array == nullptr)
        return content_->reject(*node, key,
                                "must be a list of paths; write for example [\"/usr/share/qemu\"]");
    std::vector<std::string> list;
    for (const auto& item : *array) {
        const auto value = item.value_exact<std::string>();
        if (!value)
            return content_->reject(item, key,
                                    "must hold texts only; write for example [\"/usr/share/qemu\"]");
        if (!content_->is_path(item, key, *value)) return;
        list.push_back(*value);
    }
    to = std::move(list);
}

void TomlFile::take_size(std::string_view key, uint64_t& to, uint64_t least) {
    const auto* node = content_->find(key);
    if (node == nullptr) return;
    uint64_t bytes = 0;
    if (const auto number = node->value_exact<int64_t>(); number && *number > 0)
        bytes = static_cast<uint64_t>(*number);
    else if (const auto text = node->value_exact<std::string>()) {
        const auto size = parse_size(*text);
        if (!size) return content_->reject(*node, key, size.error().message);
        bytes = *size;
    } else
        return content_->reject(*node, key, "must be a size; write for example \"256M\"");
    if (bytes < least)
        return content_->reject(
            *node, key, fmt::format("{} is too small; write \"{}M\" or more", size_text(bytes), least >> 20));
    to = bytes;
}

void TomlFile::take_number(std::string_view key, unsigned& to, unsigned least, unsigned most) {
    const auto* node = content_->find(key);
    if (node == nullptr) return;
    const auto number = node->value_exact<int64_t>();
    if (!number || *number < least || *number > most)
        return content_->reject(*node, key, fmt::format("must be a whole number from {} to {}", least, most));
    to = static_cast<unsigned>(*number);
}

std::optional<size_t> TomlFile::take_choice(std::string_view key, std::initializer_list<const char*> names) {
    const auto* node = content_->find(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value_exact<std::string>();
    size_t index = 0;
    for (const char* name : names) {
        if (value && *value == name) return index;
        ++index;
    }
    content_->reject(*node, key, fmt::format("must be one of \"{}\"", fmt::join(names, "\", \"")));
    return std::nullopt;
}

Status TomlFile::finish() {
    content_->report_unknown(content_->root, "");
    return content_->status;
}

} // namespace tlc
