// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/result.hpp>

#include <cerrno>
#include <system_error>

namespace tlc {

tl::unexpected<Error> fail_errno(int error_number, std::string step) {
    const bool full = error_number == ENOSPC || error_number == EDQUOT;
    return tl::unexpected<Error>(Error{full ? ErrorKind::no_space : ErrorKind::failed,
                                       step + ": " + std::generic_category().message(error_number)});
}

tl::unexpected<Error> in_context(Error error, std::string_view context) {
    error.message.insert(0, fmt::format("{}: ", context));
    return tl::unexpected<Error>(std::move(error));
}

} // namespace tlc
