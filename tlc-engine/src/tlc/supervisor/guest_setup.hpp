// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest is given at its first start: an overlay over the guest image, a disk with the staged files,
// and the initramfs with the job appended; and how the job's files come back at its end. Paths given must not
// exist. Thread-safe for different paths.
#pragma once

#include <tlc/base/result.hpp>
#include <tlc/config/config.hpp>
#include <tlc/supervisor/job.hpp>

#include <filesystem>

namespace tlc {

Status prepare_root_disk(const std::filesystem::path& image, const std::filesystem::path& root);
Status prepare_work_disk(const Job& job, const SiteConfig& config, const std::filesystem::path& work);
Status prepare_initramfs(const Job& job, const SiteConfig& config, bool merge_output,
                         const std::filesystem::path& initramfs);

// Copies what the job wanted back from the work disk among the live disk's files into its directory. QEMU
// must have ended. Files the host has beside are left alone; the job's output files are not touched.
Status stage_out(const Job& job, const std::filesystem::path& live);

} // namespace tlc
