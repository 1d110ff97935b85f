// SPDX-License-Identifier: GPL-2.0-or-later
// One life of a job's VM: an epoch, its writable disks, QEMU, and what the guest says. A job has one after
// the other: each start, each restore. Dropping it ends QEMU; the live disk stays until it is swept. Not
// thread-safe.
#pragma once

#include <tlc/catalog/job_directory.hpp>
#include <tlc/config/config.hpp>
#include <tlc/disk/disk.hpp>
#include <tlc/supervisor/control.hpp>
#include <tlc/supervisor/engine_process.hpp>
#include <tlc/supervisor/job.hpp>
#include <tlc/supervisor/output.hpp>
#include <tlc/vm/vm.hpp>

#include <memory>
#include <vector>

namespace tlc {

// What stays the same over all lives of a job on this node.
struct JobSite {
    const Job& job;
    const SiteConfig& config;
    const JobDirectory& directory;      // the job's, which every node can reach
    const JobDirectory& store;          // the same, or one of this node: live disks and new checkpoints
    Disk& disk;                         // of the store's file system
    std::filesystem::path runtime;      // private, node-local: sockets, the guest's initramfs
    std::filesystem::path image;        // guest image of a life that begins afresh
    std::vector<uint64_t> output_bases; // sizes of stdout and stderr before the job printed anything
    int userfaultfd_device = -1;
    int kvm_device = -1;
    int log_fd = -1;
    // Whether checkpoints are taken on the node first and then carried to the job's directory.
    bool two_levels() const { return store.path() != directory.path(); }
};

class Incarnation {
  public:
    // A fresh start: disks made, files staged in, the guest booted with the job. On failure nothing is left
    // running and the live disk is removed.
    static Result<std::unique_ptr<Incarnation>> boot(const JobSite& site, uint64_t epoch,
                                                     const Manifest::Vm& vm);
    // Continues a checkpoint; its memory may still be on its way, see filler(). ErrorKind::damaged: another
    // checkpoint may do; incompatible: none will, here.
    static Result<std::unique_ptr<Incarnation>> restore(const JobSite& site, uint64_t epoch,
                                                        const Checkpoint& checkpoint);

    uint64_t epoch() const { return epoch_; }
    const std::filesystem::path& live() const { return live_; }
    const Manifest::Vm& description() const { return description_; }
    // The guest image that lies under its root disk, as it was when that was made.
    const Manifest::Image& image() const { return image_; }
    Vm& vm() { return *vm_; }
    // The engine that fills the memory of a restored VM, until its last answer was taken. If it fails the VM
    // is lost.
    std::optional<EngineProcess>& filler() { return filler_; }

    // Brings the job's output in line with what the guest has printed so far; see OutputFollower.
    Status reconcile_output(bool shown);
    Status pump_output();
    // The last of it; where it goes into files they are durable then.
    Status finish_output();
    Result<std::vector<GuestEvent>> poll_events() { return control_->poll(); }

  private:
    Incarnation(uint64_t epoch, std::filesystem::path live, Manifest::Vm description)
        : epoch_(epoch), live_(std::move(live)), description_(std::move(description)) {}
    Status start(const JobSite& site, std::optional<Boot> boot);
    Machine machine(const JobSite& site) const;

    uint64_t epoch_;
    std::filesystem::path live_;
    Manifest::Vm description_;
    Manifest::Image image_;
    std::unique_ptr<Vm> vm_;
    std::vector<OutputFollower> outputs_;
    std::optional<ControlReader> control_;
    std::optional<EngineProcess> filler_;
};

// Whether stdout and stderr are one file; the guest then sends both through one port, in order.
bool merged_output();

// Size and modification time of the guest image, as a manifest keeps them.
Result<Manifest::Image> describe_image(const std::filesystem::path& path);

} // namespace tlc
