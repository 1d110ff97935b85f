// SPDX-License-Identifier: GPL-2.0-or-later
// Result<T>: a value or an Error. An Error is a kind (it decides the exit code), the step that failed with
// its cause, and says what to do where that is known. Exceptions are left to broken invariants.
#pragma once

#include <fmt/format.h>
#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace tlc {

// The numbers are the programs' exit codes and are frozen.
enum class ErrorKind {
    failed = 1,
    usage = 2,
    no_checkpoint = 3,
    damaged = 4,
    incompatible = 5,
    busy = 6,
    no_space = 7,
    // What was written to a file has not reached its disk and may be gone.
    lost_writes = 8,
};

struct Error {
    ErrorKind kind = ErrorKind::failed;
    std::string message;

    int exit_code() const { return static_cast<int>(kind); }
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <typename... Args>
tl::unexpected<Error> fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected<Error>(Error{kind, fmt::format(format, std::forward<Args>(args)...)});
}

template <typename... Args>
tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected<Error>(Error{ErrorKind::failed, fmt::format(format, std::forward<Args>(args)...)});
}

// An Error for a failed system call: "<step>: <strerror>", no_space for ENOSPC and EDQUOT.
tl::unexpected<Error> fail_errno(int error_number, std::string step);

// The same error with "<context>: " before its message.
tl::unexpected<Error> in_context(Error error, std::string_view context);

} // namespace tlc

// Return early with the error of a Result or Status.
#define TLC_TRY(expression)                                                                                  \
    do {                                                                                                     \
        if (auto tlc_try_status = (expression); !tlc_try_status)                                             \
            return tl::unexpected<::tlc::Error>(std::move(tlc_try_status).error());                          \
    } while (false)

// Declare `name` as the value of a Result, or return early with its error.
#define TLC_TRY_ASSIGN(name, expression)                                                                     \
    auto name##_result = (expression);                                                                       \
    if (!name##_result) return tl::unexpected<::tlc::Error>(std::move(name##_result).error());               \
    auto& name = *name##_result // NOLINT(bugprone-macro-parentheses): it is declared
