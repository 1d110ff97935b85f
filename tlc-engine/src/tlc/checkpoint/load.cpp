// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/base/log.hpp>
#include <tlc/checkpoint/checkpoint_parts.hpp>
#include <tlc/checkpoint/load.hpp>
#include <tlc/checkpoint/memory_filler.hpp>
#include <tlc/checkpoint/memory_loader.hpp>
#include <tlc/checkpoint/progress.hpp>
#include <tlc/checkpoint/session.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <chrono>

namespace tlc {
namespace {

constexpr auto discard_limit = std::chrono::seconds(60);
constexpr auto device_limit = std::chrono::seconds(60);
constexpr auto answer_limit = std::chrono::seconds(15);
// QEMU may be busy, and nothing is gained by giving up.
constexpr auto hang_up_limit = std::chrono::hours(1);

using Clock = std::chrono::steady_clock;

const RamBlock* find_block(const MachineDescription& machine, const std::string& id) {
    const auto found = std::find_if(machine.blocks.begin(), machine.blocks.end(),
                                    [&](const auto& block) { return block.id == id; });
    return found == machine.blocks.end() ? nullptr : &*found;
}

// The saved machine and this one must have the same memory, block by block.
Status check_machine(const ImageReader& image, const MachineDescription& machine) {
    if (image.info().machine != machine.machine)
        return fail(ErrorKind::incompatible, "the checkpoint is of a {} machine, this one is {}",
                    image.info().machine, machine.machine);
    if (image.blocks().size() != machine.blocks.size())
        return fail(ErrorKind::incompatible,
                    "the checkpoint has {} memory blocks, this machine {}; start QEMU with the same devices",
                    image.blocks().size(), machine.blocks.size());
    for (const auto& saved : image.blocks()) {
        const auto* block = find_block(machine, saved.id);
        if (block == nullptr)
            return fail(ErrorKind::incompatible,
                        "this machine has no memory block \"{}\"; start QEMU with the same devices",
                        saved.id);
        if (saved.length > block->max_length)
            return fail(
                ErrorKind::incompatible,
                "memory block \"{}\" has {} bytes, {} were saved; start QEMU with the same memory size",
                saved.id, block->max_length, saved.length);
    }
    return {};
}

Result<Fd> as_memfd(std::span<const std::byte> bytes) {
    Fd fd(::memfd_create("device-state", MFD_CLOEXEC));
    if (!fd) return fail_errno(errno, "memfd_create");
    TLC_TRY(write_all(fd.get(), bytes));
    return fd;
}

// One attempt, in one session with QEMU.
class Load {
  public:
    Load(const LoadRequest& request, const ImageReader& image, LoadReport& report, Clock::time_point began)
        : request_(request), image_(image), report_(report), began_(began) {}

    Status begin();
    // Nothing: the VM may run before its memory is in. Otherwise why not; `over`: QEMU has ended the session.
    Result<std::optional<std::string>> arm(bool& over);
    Status fill_before();
    Status run();
    Status fill_after();
    // A page that could not be had is the reason for whatever failed later.
    Status why(Status status) const {
        if (status || !filler_) return status;
        auto filler = filler_->state();
        return filler ? status : filler;
    }

  private:
    double elapsed_ms() const {
        return std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
    }

    const LoadRequest& request_;
    const ImageReader& image_;
    LoadReport& report_;
    const Clock::time_point began_;
    std::optional<EngineSession> session_;
    std::vector<MemoryPlace> places_;
    // Ends before the channel, which QEMU takes for the end of a load that has failed.
    std::unique_ptr<MemoryFiller> filler_;
};

Status Load::begin() {
    TLC_TRY_ASSIGN(opened, open_session(request_.qmp_socket, ChannelMode::load, request_.userfaultfd_device));
    session_.emplace(std::move(opened));
    TLC_TRY(check_machine(image_, session_->machine));
    LoadBegin begin;
    report_.ram_bytes = 0;
    for (const auto& block : image_.blocks()) {
        begin.blocks.push_back({block.id, block.length});
        report_.ram_bytes += block.length;
    }
    TLC_TRY(session_->channel.send(begin, discard_limit));
    TLC_TRY_ASSIGN(ready, session_->channel.expect<Ready>(discard_limit));
    for (const auto& block : image_.blocks()) {
        const auto* place = find_block(ready.message, block.id);
        if (place == nullptr || place->used_length != block.length)
            return fail("QEMU did not make memory block \"{}\" ready", block.id);
        places_.push_back({place->host_address, false});
    }
    return {};
}

Result<std::optional<std::string>> Load::arm(bool& over) {
    for (const auto& block : session_->machine.blocks)
        if (block.protectable && !block.missing_faults)
            return fmt::format("memory block \"{}\" is backed by a file system of huge pages", block.id);
    TLC_TRY(session_->channel.send(Arm{}, answer_limit));
    auto armed = session_->channel.expect<Armed>(answer_limit);
    over = !armed;
    if (!armed) return std::move(armed).error().message;
    for (size_t i = 0; i < places_.size(); ++i)
        places_[i].watched = find_block(session_->machine, image_.blocks()[i].id)->protectable;
    FillOptions options;
    options.peer_fd = session_->channel.fd();
    options.bytes_per_second = request_.prefetch_bytes_per_second;
    TLC_TRY_ASSIGN(filler, MemoryFiller::start(image_, std::move(armed->descriptors[0]), places_, options));
    filler_ = std::move(filler);
    report_.lazy = true;
    return std::nullopt;
}

// What is not watched: ROM and the like, or everything.
Status Load::fill_before() {
    std::atomic<uint64_t> pages{0};
    std::optional<Progress> progress;
    if (!filler_) progress.emplace("restoring", image_.used_bytes(), [&] { return pages * image_page_size; });
    TLC_TRY(write_memory(session_->channel.peer_pid(), image_, places_, pages));
    report_.pages_loaded += pages;
    return {};
}

Status Load::run() {
    Channel& channel = session_->channel;
    TLC_TRY_ASSIGN(devices, as_memfd(image_.device_state()));
    const int descriptors[] = {devices.get()};
    TLC_TRY(channel.send(LoadDevices{image_.device_state().size()}, device_limit, descriptors));
    TLC_TRY(channel.expect<Loaded>(device_limit));
    TLC_TRY(channel.send(Resume{}, device_limit));
    TLC_TRY(channel.expect<Resumed>(device_limit));
    report_.running_ms = report_.latency_ms = elapsed_ms();
    return {};
}

Status Load::fill_after() {
    if (!filler_) return {};
    filler_->fetch_all();
    Status filled;
    {
        const Progress progress("restoring", filler_->bytes_total(), [&] { return filler_->bytes_done(); });
        filled = filler_->wait();
    }
    report_.pages_loaded += filler_->pages();
    report_.faults = filler_->faults();
    if (!filled) {
        session_->channel.abort(filled.error().message);
        return filled;
    }
    TLC_TRY(session_->channel.send(Filled{}, answer_limit));
    TLC_TRY(filler_->wait_for_hang_up(hang_up_limit));
    report_.latency_ms = elapsed_ms();
    return {};
}

} // namespace

Result<LoadReport> load_checkpoint(const LoadRequest& request,
                                   const std::function<void(const LoadReport&)>& running) {
    const auto began = Clock::now();
    TLC_TRY_ASSIGN(parts, CheckpointParts::open(request.from));
    const ImageReader& image = parts.image();
    LoadReport report;
    std::optional<Load> load;
    load.emplace(request, image, report, began);
    TLC_TRY(load->begin());
    if (request.lazy) {
        bool over = false;
        TLC_TRY_ASSIGN(why_not, load->arm(over));
        if (why_not) {
            report.fallback = *why_not;
            log::warning("the VM runs when all its memory is loaded, not before: {}", report.fallback);
        }
        if (over) {
            load.emplace(request, image, report, began);
            TLC_TRY(load->begin());
        }
    }
    TLC_TRY(load->why(load->fill_before()));
    TLC_TRY(load->why(load->run()));
    if (running && (report.lazy || parts.has_disk_sums())) running(report);
    // A guest that has ended before all its memory came has used its disk all the same.
    const auto filled = load->fill_after();
    load.reset();
    if (!filled && filled.error().kind == ErrorKind::damaged) return tl::unexpected(filled.error());
    // The guest has used its disk by now. If something else is there than was saved, what it made of it is
    // thrown away with it.
    std::atomic<uint64_t> checked{0};
    const Progress progress("checking the disk", parts.disk_bytes(), [&] { return checked.load(); });
    TLC_TRY(parts.check_disk_part(checked));
    TLC_TRY(filled);
    return report;
}

} // namespace tlc
