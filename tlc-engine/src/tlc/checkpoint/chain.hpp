// SPDX-License-Identifier: GPL-2.0-or-later
// ChainLinks: the older files an image refers to, as hard links in the directory of its checkpoint. So every
// checkpoint is whole in its own directory, and an older one can be removed at any time without a look at who
// else uses its pages. Links that were not kept are removed by the destructor. Not thread-safe.
#pragma once

#include <tlc/image/writer.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace tlc {

class ChainLinks {
  public:
    ChainLinks() = default;
    ChainLinks(ChainLinks&& other) noexcept : links_(std::exchange(other.links_, {})) {}
    ChainLinks& operator=(ChainLinks&& other) noexcept {
        std::swap(links_, other.links_);
        return *this;
    }
    ~ChainLinks();

    // Links every older file of `base`, an image in the directory `parent`, into `out`. On failure (a file
    // system without hard links, a parent that is gone) nothing is left there and a full image has to be
    // taken.
    static Result<ChainLinks> make(const ImageBase& base, const std::filesystem::path& parent,
                                   const std::filesystem::path& out);
    // The image is complete: removes the links it does not refer to.
    void drop_all_but(const std::vector<ImageOlderFile>& used);
    // The image is published.
    void keep() { links_.clear(); }

  private:
    std::vector<std::filesystem::path> links_;
};

} // namespace tlc
