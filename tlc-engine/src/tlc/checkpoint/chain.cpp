// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/checkpoint/chain.hpp>

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace tlc {

ChainLinks::~ChainLinks() {
    for (const auto& link : links_)
        ::unlink(link.c_str());
}

Result<ChainLinks> ChainLinks::make(const ImageBase& base, const std::filesystem::path& parent,
                                    const std::filesystem::path& out) {
    ChainLinks made;
    for (const auto& file : base.older) {
        const auto name = older_file_name(file.identity);
        // What is newest in the chain is the parent's own file.
        const auto from = parent / (file.identity == base.identity ? "memory.h5" : name);
        if (::link(from.c_str(), (out / name).c_str()) != 0)
            return fail_errno(errno, fmt::format("cannot link {} into {}", from.string(), out.string()));
        made.links_.push_back(out / name);
    }
    return made;
}

void ChainLinks::drop_all_but(const std::vector<ImageOlderFile>& used) {
    std::erase_if(links_, [&](const auto& link) {
        const bool needed = std::any_of(used.begin(), used.end(), [&](const ImageOlderFile& file) {
            return link.filename() == older_file_name(file.identity);
        });
        return !needed && ::unlink(link.c_str()) == 0;
    });
}

} // namespace tlc
