// SPDX-License-Identifier: GPL-2.0-or-later
// One TOML file whose keys are taken one by one; what nobody took is an unknown key. Keeps the first error,
// so that a reader can take everything and ask once at the end. Not thread-safe. Private to tlc_config.
#pragma once

#include <tlc/base/result.hpp>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tlc {

class TomlFile {
  public:
    // `name` stands in the errors.
    static Result<TomlFile> parse(std::string_view text, const std::string& name);
    TomlFile(TomlFile&&) noexcept;
    ~TomlFile();

    // Each leaves `to` alone when the key is missing. Keys are "table.key".
    void take_text(std::string_view key, std::string& to);
    void take_path(std::string_view key, std::string& to);
    void take_paths(std::string_view key, std::vector<std::string>& to);
    // A size as text ("256M") or a whole number of bytes.
    void take_size(std::string_view key, uint64_t& to, uint64_t least);
    void take_number(std::string_view key, unsigned& to, unsigned least, unsigned most);
    // A time as text ("90s", "30d"; see parse_duration).
    void take_duration(std::string_view key, std::chrono::seconds& to, std::chrono::seconds least);
    // A number from 0.0001 to 1.
    void take_share(std::string_view key, double& to);
    // The index of the text in `names`.
    std::optional<size_t> take_choice(std::string_view key, std::initializer_list<const char*> names);

    // The first error, or else the first key that was not taken.
    Status finish();

  private:
    struct Content;
    explicit TomlFile(std::unique_ptr<Content> content);
    std::unique_ptr<Content> content_;
};

} // namespace tlc
