// SPDX-License-Identifier: GPL-2.0-or-later
// What the user should read in the job's output although it is not the job's: why a job started afresh, which
// checkpoint could not be used. They are logged at once and shown after the output has been reconciled, which
// would cut them away again. Not thread-safe.
#pragma once

#include <tlc/base/log.hpp>

#include <string>
#include <utility>
#include <vector>

namespace tlc {

class Notices {
  public:
    template <typename... A>
    void add(fmt::format_string<A...> format, A&&... a) {
        auto text = fmt::format(format, std::forward<A>(a)...);
        log::warning("{}", text);
        texts_.push_back(std::move(text));
    }
    std::vector<std::string> take() { return std::exchange(texts_, {}); }

  private:
    std::vector<std::string> texts_;
};

} // namespace tlc
