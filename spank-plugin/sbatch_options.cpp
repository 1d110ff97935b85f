// SPDX-License-Identifier: GPL-2.0-or-later
#include "sbatch_options.hpp"

#include <dlfcn.h>

namespace tlc::spank {

std::optional<std::string> sbatch_option(const char* name) {
    using Getter = char* (*)(void* options, const char* name);
    void* const options = ::dlsym(RTLD_DEFAULT, "opt");
    const auto get = reinterpret_cast<Getter>(::dlsym(RTLD_DEFAULT, "slurm_option_get"));
    if (options == nullptr || get == nullptr) return std::nullopt;
    // Slurm's to free, and sbatch soon ends.
    const char* text = get(options, name);
    if (text == nullptr) return std::nullopt;
    return text;
}

} // namespace tlc::spank
