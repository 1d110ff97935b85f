// SPDX-License-Identifier: GPL-2.0-or-later
// Why the image is right: a page written after somebody read it has its bit in a later log, at the latest in
// the one of stage 3, and is copied again. So the copy that must win is the last one made, and region locks
// make the order in which copies reach the image the order in which they were read, as far as it matters: a
// pass reads and delivers a region under its lock, and the table delivers under it too. A copy in the table
// can be older than what the pass has delivered in between; then the page was written in between, and a newer
// copy follows.
#include <tlc/capture/log_capture.hpp>

#include <algorithm>
#include <bit>
#include <thread>

namespace tlc {

namespace {
constexpr uint8_t was_in_table = 1;
constexpr uint8_t was_dirty = 2;
constexpr size_t batch_pages = 512;
} // namespace

Result<std::unique_ptr<LogCapture>> LogCapture::prepare(GuestMemory memory, DirtyBitmap bitmap, DirtyLog& log,
                                                        const LogOptions& options) {
    if (options.pass_threads == 0) return fail(ErrorKind::usage, "a capture by log needs a pass thread");
    if (options.interval.count() <= 0)
        return fail(ErrorKind::usage, "the interval between two dirty logs has to be positive");
    TLC_TRY_ASSIGN(table, DirtyTable::create(options.buffer_bytes));
    return std::unique_ptr<LogCapture>(
        new LogCapture(std::move(memory), std::move(bitmap), log, options, std::move(table)));
}

LogCapture::LogCapture(GuestMemory memory, DirtyBitmap bitmap, DirtyLog& log, const LogOptions& options,
                       std::unique_ptr<DirtyTable> table)
    : memory_(std::move(memory)), bitmap_(std::move(bitmap)), log_(log), options_(options),
      table_(std::move(table)), first_region_{0} {
    for (const GuestBlock& b : memory_.blocks()) {
        const uint64_t pages = b.length / guest_page;
        marks_.push_back(std::make_unique<std::atomic<uint8_t>[]>(pages));
        first_region_.push_back(first_region_.back() + (pages + region_pages - 1) / region_pages);
    }
}

Status LogCapture::before_pause(std::vector<PageSink*> sinks) {
    if (sinks.size() != options_.pass_threads + 1)
        return fail(ErrorKind::usage, "{} sinks for {} pass threads and the copier", sinks.size(),
                    options_.pass_threads);
    sinks_ = std::move(sinks);
    passing_ = options_.pass_threads;
    std::vector<std::thread> threads;
    for (size_t i = 0; i + 1 < sinks_.size(); ++i)
        threads.emplace_back([this, i] { pass(*sinks_[i]); });
    while (!wait_for_pass(options_.interval))
        if (options_.variant != LogVariant::one_pass)
            if (auto copied = copy_round(); !copied) stop(std::move(copied).error());
    for (std::thread& t : threads)
        t.join();
    return first_error();
}

bool LogCapture::wait_for_pass(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return passing_ == 0; });
}

void LogCapture::pass(PageSink& sink) {
    std::array<uint8_t, region_pages> take{};
    std::vector<std::byte> data(sink_bytes);
    while (!ending_) {
        const uint64_t region = next_region_++;
        if (region >= first_region_.back()) break;
        const auto after = std::upper_bound(first_region_.begin(), first_region_.end(), region);
        const auto block = static_cast<uint32_t>(after - first_region_.begin() - 1);
        const uint64_t first_page = (region - first_region_[block]) * region_pages;
        const uint64_t count =
            std::min(region_pages, memory_.blocks()[block].length / guest_page - first_page);
        if (auto done = pass_region(sink, block, first_page, std::span(take).first(count), data); !done)
            stop(std::move(done).error());
        pages_passed_ += count;
    }
    const std::lock_guard lock(mutex_);
    --passing_;
    changed_.notify_all();
}

Status LogCapture::pass_region(PageSink& sink, uint32_t block, uint64_t first_page, std::span<uint8_t> take,
                               std::span<std::byte> data) {
    const std::lock_guard lock(region_mutex(block, first_page));
    TLC_TRY(memory_.touched(block, first_page, take));
    pages_untouched_ += static_cast<uint64_t>(std::count(take.begin(), take.end(), 0));
    if (options_.skip_known)
        for (size_t i = 0; i < take.size(); ++i)
            if (take[i] != 0 && (marks_[block][first_page + i] & was_in_table) != 0) {
                take[i] = 0;
                ++skipped_known_;
            }
    for (size_t from = 0; from < take.size();) {
        if (take[from] == 0) {
            ++from;
            continue;
        }
        size_t to = from + 1;
        while (to < take.size() && take[to] != 0)
            ++to;
        const auto run = data.first((to - from) * guest_page);
        const GuestMemory::Part part{(first_page + from) * guest_page, run.size(), run.data()};
        TLC_TRY(memory_.read(block, {&part, 1}));
        TLC_TRY(sink.pages(block, first_page + from, run));
        pages_saved_ += to - from;
        from = to;
    }
    return {};
}

// Takes the log and copies what is in it. The VM stands still for the part the variant says.
Status LogCapture::copy_round() {
    const bool hold = options_.variant == LogVariant::log || options_.variant == LogVariant::memory;
    TLC_TRY(log_.sync(hold));
    if (options_.variant == LogVariant::log) TLC_TRY(log_.release());
    TLC_TRY(copy_dirty());
    if (options_.variant == LogVariant::memory) TLC_TRY(log_.release());
    return {};
}

Status LogCapture::copy_dirty() {
    std::vector<PageRef> batch;
    batch.reserve(batch_pages);
    for (uint32_t block = 0; block < memory_.blocks().size(); ++block)
        for (uint64_t word = 0; word < bitmap_.words(block) && !ending_; ++word)
            for (uint64_t bits = bitmap_.take(block, word); bits != 0; bits &= bits - 1) {
                batch.push_back({block, word * 64 + static_cast<unsigned>(std::countr_zero(bits))});
                if (batch.size() < batch_pages) continue;
                TLC_TRY(copy_pages(batch));
                batch.clear();
            }
    return copy_pages(batch);
}

// Pages in ascending order, none twice.
Status LogCapture::copy_pages(std::span<const PageRef> pages) {
    std::vector<GuestMemory::Part> parts;
    while (!pages.empty()) {
        const uint32_t block = pages.front().block;
        parts.clear();
        size_t count = 0;
        const bool replace = !in_stage_3_ || options_.replace_older;
        for (; count < pages.size() && pages[count].block == block; ++count) {
            const uint64_t page = pages[count].page;
            const bool known = table_->contains(block, page);
            if ((!known || !replace) && table_->full()) {
                if (count > 0) break; // what has a place is read before anything is dropped
                TLC_TRY(write_oldest(std::max<size_t>(1, table_->capacity() / 8)));
            }
            if (in_stage_3_ && options_.replace_older && table_->contains(block, page)) ++skipped_older_;
            const uint8_t before = marks_[block][page].fetch_or(was_in_table | was_dirty);
            table_pages_ += (before & was_in_table) == 0;
            dirty_pages_ += (before & was_dirty) == 0;
            parts.push_back({page * guest_page, guest_page, table_->place(block, page, replace)});
        }
        TLC_TRY(memory_.read(block, parts));
        pages = pages.subspan(count);
    }
    return {};
}

// Neighbours that follow each other in the table go out as one run.
Status LogCapture::write_oldest(size_t count) {
    PageSink& sink = *sinks_.back();
    std::vector<std::byte> run;
    while (count > 0 && table_->size() > 0) {
        const DirtyTable::Entry first = table_->oldest();
        const uint64_t region = first.page / region_pages;
        const std::lock_guard lock(region_mutex(first.block, first.page));
        run.clear();
        for (uint64_t page = first.page; count > 0 && table_->size() > 0; ++page, --count) {
            const DirtyTable::Entry& entry = table_->oldest();
            if (entry.block != first.block || entry.page != page || page / region_pages != region) break;
            const std::byte* data = table_->data(entry);
            run.insert(run.end(), data, data + guest_page);
            table_->drop_oldest();
        }
        TLC_TRY(sink.pages(first.block, first.page, run));
        pages_saved_ += run.size() / guest_page;
    }
    return {};
}

Status LogCapture::in_pause() {
    TLC_TRY(first_error());
    in_stage_3_ = true;
    if (auto copied = copy_dirty(); !copied) stop(std::move(copied).error());
    return first_error();
}

Result<CaptureCounters> LogCapture::wait() {
    if (!in_stage_3_) stop({ErrorKind::failed, "the capture came to no pause"});
    while (!ending_ && table_->size() > 0)
        if (auto written = write_oldest(batch_pages); !written) stop(std::move(written).error());
    TLC_TRY(first_error());
    CaptureCounters counters;
    counters.pages_saved = pages_saved_;
    counters.pages_untouched = pages_untouched_;
    counters.buffer_peak_bytes = table_->peak_bytes();
    counters.working_set_pages = dirty_pages_;
    counters.table_pages = table_pages_;
    counters.skipped_opt1 = skipped_known_;
    counters.skipped_opt2 = skipped_older_;
    return counters;
}

void LogCapture::cancel(Error why) { stop(std::move(why)); }

void LogCapture::stop(Error why) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(why);
    ending_ = true;
    changed_.notify_all();
}

Status LogCapture::first_error() {
    const std::lock_guard lock(mutex_);
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
}

} // namespace tlc
