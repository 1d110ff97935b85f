// SPDX-License-Identifier: GPL-2.0-or-later
// A tlc-engine as a child process: started, asked, watched without blocking, its JSON answers read line by
// line. Dropping the object kills the engine; the VM does not notice. Not thread-safe.
#pragma once

#include <tlc/base/process.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tlc {

class EngineProcess {
  public:
    // `arguments` follow the program's name. Its messages go to `log_fd`.
    static Result<EngineProcess> start(const std::filesystem::path& program,
                                       std::vector<std::string> arguments, int log_fd);

    // One request on its standard input. An engine that has ended shows itself in the next poll().
    void ask(const nlohmann::json& request);
    // Nothing as long as there is no answer. Then the object it printed; or an Error, of the kind that it
    // names, or that it has ended.
    std::optional<Result<nlohmann::json>> poll();
    Result<nlohmann::json> wait(std::chrono::seconds limit);
    // Whether it has neither computed nor moved data for `limit`, as far as the calls have seen; a request
    // begins that time anew.
    bool stalled(std::chrono::seconds limit);
    // Descriptor that becomes readable when the engine prints or ends.
    int event_fd() const { return reader_.get(); }

  private:
    EngineProcess(Child child, Fd writer, Fd reader)
        : child_(std::move(child)), writer_(std::move(writer)), reader_(std::move(reader)) {}
    std::optional<Result<nlohmann::json>> take_line();

    Child child_;
    Fd writer_;
    Fd reader_;
    std::string text_;      // read and not yet taken
    uint64_t activity_ = 0; // Child::activity when it was last looked at
    std::chrono::steady_clock::time_point last_activity_ = std::chrono::steady_clock::now();
};

} // namespace tlc
