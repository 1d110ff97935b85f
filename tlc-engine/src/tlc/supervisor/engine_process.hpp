// SPDX-License-Identifier: GPL-2.0-or-later
// One run of tlc-engine as a child process: started, watched without blocking, its JSON answer read at the
// end. Dropping the object kills the engine; the VM does not notice. Not thread-safe.
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
    // `arguments` follow the program's name; "--json" is added. Its messages go to `log_fd`.
    static Result<EngineProcess> start(const std::filesystem::path& program,
                                       std::vector<std::string> arguments, int log_fd);

    // Nothing while it runs. At its end the object it printed, or an Error with its last words and the kind
    // its exit code stands for.
    std::optional<Result<nlohmann::json>> poll();
    Result<nlohmann::json> wait(std::chrono::seconds limit);
    // Descriptor that becomes readable when the engine prints or ends.
    int event_fd() const { return reader_.get(); }
    pid_t pid() const { return child_.pid(); }

  private:
    EngineProcess(Child child, Fd reader) : child_(std::move(child)), reader_(std::move(reader)) {}

    Child child_;
    Fd reader_;
    std::string text_;
};

} // namespace tlc
