// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a text of lines, words and numbers, as the disk's tables are, checking each. For this folder only.
#pragma once

#include <tlc/base/checksum.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tlc {

class LineReader {
  public:
    explicit LineReader(std::string_view text) : text_(text) {}

    bool at_end() const { return text_.empty(); }
    // Whether another line begins so; then it becomes the current one, without that.
    bool next_is(std::string_view beginning) {
        if (!text_.starts_with(beginning) || !next()) return false;
        line_.remove_prefix(beginning.size());
        return true;
    }
    // The next line becomes the current one; it must end with a newline.
    bool next() {
        const auto end = text_.find('\n');
        if (end == std::string_view::npos) return false;
        line_ = text_.substr(0, end);
        text_.remove_prefix(end + 1);
        return true;
    }
    // A number up to 10^15 and the space after it, off the current line.
    std::optional<uint64_t> number() {
        uint64_t value = 0;
        size_t digits = 0;
        for (; digits < line_.size() && line_[digits] >= '0' && line_[digits] <= '9'; ++digits) {
            if (digits == 15) return std::nullopt;
            value = value * 10 + static_cast<uint64_t>(line_[digits] - '0');
        }
        if (digits == 0 || (digits < line_.size() && line_[digits] != ' ')) return std::nullopt;
        line_.remove_prefix(std::min(digits + 1, line_.size()));
        return value;
    }
    std::optional<Checksum> sum() {
        const auto found = parse_checksum(line_.substr(0, 32));
        if (!found || (line_.size() > 32 && line_[32] != ' ')) return std::nullopt;
        line_.remove_prefix(std::min<size_t>(33, line_.size()));
        return found;
    }
    // What is left of the current line, if it can be a file's name in a directory of ours.
    std::optional<std::string> name() {
        const std::string text(line_);
        line_ = {};
        if (text.empty() || text.size() > 255 || text.front() == '.' || text.find('/') != std::string::npos)
            return std::nullopt;
        return text;
    }
    bool line_done() const { return line_.empty(); }

  private:
    std::string_view text_;
    std::string_view line_;
};

} // namespace tlc
