// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/base/files.hpp>
#include <tlc/image/chunk_codec.hpp>
#include <tlc/image/writer_state.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace tlc {
namespace {

constexpr H5Z_filter_t lz4_filter = 32004;
constexpr uint64_t extent_step = 256; // chunks the dataset grows by at a time

Result<hdf::Id> create_file(const std::filesystem::path& path, FileOutput& output) {
    TLC_TRY_ASSIGN(access, hdf::file_access(output));
    TLC_TRY_ASSIGN(creation, hdf::check(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "file creation"));
    // All attributes of the root in its header, which has a checksum.
    TLC_TRY(hdf::check(H5Pset_attr_phase_change(creation.get(), 1024, 0), "file creation"));
    return hdf::check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose,
                      "create");
}

Result<hdf::Id> create_pages(hid_t file) {
    const hsize_t shape[2] = {0, image_page_size};
    const hsize_t limit[2] = {H5S_UNLIMITED, image_page_size};
    const hsize_t chunk[2] = {image_chunk_pages, image_page_size};
    const unsigned char fill = 0;
    const unsigned block_size = image_chunk_size;
    TLC_TRY_ASSIGN(space, hdf::check(H5Screate_simple(2, shape, limit), H5Sclose, "pages"));
    TLC_TRY_ASSIGN(creation, hdf::check(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "pages"));
    TLC_TRY(hdf::check(H5Pset_chunk(creation.get(), 2, chunk), "pages"));
    TLC_TRY(hdf::check(H5Pset_fill_value(creation.get(), H5T_NATIVE_UCHAR, &fill), "pages"));
    TLC_TRY(hdf::check(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_IFSET), "pages"));
    TLC_TRY(hdf::check(H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_INCR), "pages"));
    TLC_TRY(
        hdf::check(H5Pset_filter(creation.get(), lz4_filter, H5Z_FLAG_OPTIONAL, 1, &block_size), "pages"));
    return hdf::check(
        H5Dcreate2(file, "pages", H5T_STD_U8LE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
        H5Dclose, "pages");
}

} // namespace

class ImageWriter::State::Lane final : public ImageLane {
  public:
    explicit Lane(State& image)
        : image_(image), compression_(image.compression), buffer_(stored_chunk_max),
          stored_(stored_chunk_max) {}

    Status add(uint32_t block, uint64_t first_page, std::span<const std::byte> data) override {
        if (block >= image_.tables.page_tables.size())
            return fail("RAM block {} of {}", block, image_.tables.page_tables.size());
        auto& table = image_.tables.page_tables[block];
        const uint64_t count = data.size() / image_page_size;
        if (data.size() % image_page_size != 0 || first_page > table.size() ||
            count > table.size() - first_page)
            return fail("pages {}+{} bytes are outside RAM block {}", first_page, data.size(), block);
        for (uint64_t i = 0; i < count; ++i) {
            const std::byte* page = data.data() + i * image_page_size;
            if (is_zero_page(page)) {
                table[first_page + i] = 0;
                continue;
            }
            if (image_.in_chain && is_known(block, first_page + i, {page, image_page_size})) continue;
            if (used_ == 0) chunk_ = image_.next_chunk.fetch_add(1, std::memory_order_relaxed);
            std::memcpy(slot(used_), page, image_page_size);
            table[first_page + i] = chunk_ * image_chunk_pages + used_ + 1;
            if (++used_ == image_chunk_pages) TLC_TRY(flush());
        }
        return {};
    }

    Status flush() {
        if (used_ == 0) return {};
        std::memset(slot(used_), 0, image_chunk_size - used_ * image_page_size);
        used_ = 0;
        const auto step = compression_.next();
        const auto now = [&] { return step.measure ? thread_time() : CompressionChoice::Nanoseconds{0}; };
        const auto began = now();
        const auto stored = encode_chunk(buffer_, stored_, step.compress);
        const auto encoded = now();
        TLC_TRY(image_.write_chunk(chunk_, stored));
        if (step.measure)
            compression_.measured(step, {encoded - began, stored_chunk_max - stored.size(), now() - encoded,
                                         stored.size(), image_.output->disk_ns_per_byte()});
        return {};
    }

  private:
    // Whether the page is as it was; if not its new hash is kept.
    bool is_known(uint32_t block, uint64_t page, std::span<const std::byte> data) {
        const Checksum hash = checksum(data);
        Checksum& before = image_.hashes[block][page];
        if (image_.tables.page_tables[block][page] != 0 && before == hash) return true;
        before = hash;
        return false;
    }

    std::byte* slot(size_t n) { return buffer_.data() + chunk_header_size + n * image_page_size; }

    State& image_;
    CompressionChoice compression_;
    std::vector<std::byte> buffer_; // with room for the header in front
    std::vector<std::byte> stored_;
    uint64_t chunk_ = 0;
    size_t used_ = 0;
};

ImageWriter::State::State() = default;
ImageWriter::State::~State() {
    if (!finished) discard();
}

void ImageWriter::State::discard() {
    const hdf::Lock lock;
    // The library cannot drop an open file, it writes what it holds.
    if (output) output->discard();
    pages.reset();
    file.reset();
    ::unlink(path.c_str());
}

Status ImageWriter::State::write_chunk(uint64_t chunk, std::span<const std::byte> stored) {
    const Checksum sum = checksum(stored);
    return locked([&]() -> Status {
        if (chunk >= extent) {
            extent = (chunk / extent_step + 1) * extent_step;
            const hsize_t shape[2] = {extent * image_chunk_pages, image_page_size};
            TLC_TRY(hdf::check(H5Dset_extent(pages.get(), shape), "extend the pages"));
        }
        const hsize_t offset[2] = {chunk * image_chunk_pages, 0};
        TLC_TRY(hdf::check(H5Dwrite_chunk(pages.get(), H5P_DEFAULT, 0, offset, stored.size(), stored.data()),
                           "write pages"));
        if (tables.chunks.size() <= chunk) tables.chunks.resize(chunk + 1);
        tables.chunks[chunk] = {stored.size(), sum};
        return {};
    });
}

Status ImageWriter::State::start() {
    TLC_TRY_ASSIGN(new_file, create_file(path, *output));
    file = std::move(new_file);
    TLC_TRY_ASSIGN(new_pages, create_pages(file.get()));
    pages = std::move(new_pages);
    const hid_t root = file.get();
    TLC_TRY(hdf::write_text(root, "magic", "TLC-MEMORY-IMAGE"));
    for (const auto& field : info_fields)
        TLC_TRY(hdf::write_text(root, field.name, tables.info.*field.text));
    return hdf::write_number(root, "page_size", image_page_size);
}

Status ImageWriter::State::write_tables() {
    if (finished) return fail("the image was finished before");
    if (!has_device_state) return fail("the image has no device state");
    const hsize_t shape[2] = {tables.chunks.size() * image_chunk_pages, image_page_size};
    TLC_TRY(hdf::check(H5Dset_extent(pages.get(), shape), "set the number of pages"));
    const hid_t root = file.get();
    drop_unused_older_files(tables);
    TLC_TRY(hdf::write_number(root, "format_version", tables.older.empty() ? 1 : image_format_version));
    if (!tables.older.empty()) TLC_TRY(write_older_files());
    {
        const hsize_t rows[2] = {tables.chunks.size(), 3};
        TLC_TRY_ASSIGN(chunks, hdf::write_dataset(root, "chunks", H5T_STD_U64LE, rows, tables.chunks.data()));
        TLC_TRY(hdf::write_text(chunks.get(), "xxh3_128", chunks_checksum(tables.chunks).text()));
    }
    TLC_TRY_ASSIGN(ram, hdf::create_group(root, "ram"));
    TLC_TRY(hdf::write_number(ram.get(), "blocks", tables.blocks.size()));
    for (size_t i = 0; i < tables.blocks.size(); ++i) {
        const auto& block = tables.blocks[i];
        const auto& table = tables.page_tables[i];
        TLC_TRY_ASSIGN(group, hdf::create_group(ram.get(), std::to_string(i).c_str()));
        TLC_TRY(hdf::write_text(group.get(), "id", block.id));
        TLC_TRY(hdf::write_number(group.get(), "length", block.length));
        TLC_TRY(hdf::write_number(group.get(), "page_size", block.page_size));
        const hsize_t entries[1] = {table.size()};
        TLC_TRY_ASSIGN(dataset,
                       hdf::write_dataset(group.get(), "page_table", H5T_STD_U64LE, entries, table.data()));
        TLC_TRY(hdf::write_text(dataset.get(), "xxh3_128", table_checksum(table).text()));
    }
    TLC_TRY(hdf::write_number(root, "pause_ns", tables.counters.pause_ns));
    TLC_TRY(hdf::write_number(root, "latency_ns", tables.counters.latency_ns));
    TLC_TRY_ASSIGN(counters, hdf::create_group(root, "counters"));
    for (const auto& [name, value] : tables.counters.further)
        TLC_TRY(hdf::write_number(counters.get(), name.c_str(), value));
    return {};
}

Status ImageWriter::State::close() {
    pages.reset();
    // What can fail for lack of space fails here, while the file can still be discarded.
    TLC_TRY(hdf::check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), "flush"));
    TLC_TRY(hdf::check(file.reset(), "close"));
    if (::fsync(fd.get()) != 0) return fail_errno(errno, "fsync");
    return {};
}

ImageWriter::ImageWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageWriter::ImageWriter(ImageWriter&&) noexcept = default;
ImageWriter& ImageWriter::operator=(ImageWriter&&) noexcept = default;
ImageWriter::~ImageWriter() = default;

Result<ImageWriter> ImageWriter::create(const std::filesystem::path& path, const ImageInfo& info,
                                        std::vector<ImageBlock> blocks, Compression compression) {
    TLC_TRY_ASSIGN(writer, begin(path, info, std::move(blocks), compression));
    writer.state_->begin_with_zeros();
    return std::move(writer);
}

// All but the page tables.
Result<ImageWriter> ImageWriter::begin(const std::filesystem::path& path, const ImageInfo& info,
                                       std::vector<ImageBlock> blocks, Compression compression) {
    if (auto good = check_info(info); !good) return fail("{}", good.error().message);
    if (auto good = check_blocks(blocks); !good) return fail("{}", good.error().message);
    // Created here and not by the library: private from the start, and a file that was there is never
    // touched.
    TLC_TRY_ASSIGN(fd, open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600));
    auto state = std::make_unique<State>();
    state->path = path;
    state->fd = std::move(fd);
    TLC_TRY_ASSIGN(output, FileOutput::create(state->fd.get()));
    state->output = std::move(output);
    state->compression = compression;
    state->tables.info = info;
    state->tables.blocks = std::move(blocks);
    TLC_TRY(state->locked([&] { return state->start(); }));
    return ImageWriter(std::move(state));
}

void ImageWriter::State::begin_with_zeros() {
    for (const auto& block : tables.blocks)
        tables.page_tables.emplace_back(block.length / image_page_size);
}

ImageLane& ImageWriter::lane() {
    const std::lock_guard lock(state_->lanes_mutex);
    return *state_->lanes.emplace_back(std::make_unique<State::Lane>(*state_));
}

Status ImageWriter::set_device_state(std::span<const std::byte> device) {
    return state_->locked([&]() -> Status {
        if (state_->has_device_state) return fail("the device state was given twice");
        if (device.size() > image_max_device_state)
            return fail("a device state of {} bytes is more than the format allows", device.size());
        const hsize_t size[1] = {device.size()};
        TLC_TRY_ASSIGN(dataset, hdf::write_dataset(state_->file.get(), "device_state", H5T_STD_U8LE, size,
                                                   device.data()));
        state_->tables.device_state_bytes = device.size();
        state_->tables.device_state_sum = checksum(device);
        state_->has_device_state = true;
        return hdf::write_text(dataset.get(), "xxh3_128", state_->tables.device_state_sum.text());
    });
}

Result<ImageSummary> ImageWriter::finish(const ImageCounters& counters) {
    if (auto good = check_counters(counters); !good) return fail("{}", good.error().message);
    {
        const std::lock_guard lock(state_->lanes_mutex);
        for (auto& lane : state_->lanes)
            TLC_TRY(lane->flush());
    }
    auto& tables = state_->tables;
    tables.counters = counters;
    TLC_TRY(state_->locked([&] { return state_->write_tables(); }));
    TLC_TRY(state_->locked([&] { return state_->close(); }));
    struct stat status {};
    if (::fstat(state_->fd.get(), &status) != 0)
        return fail_errno(errno, fmt::format("cannot look at {}", state_->path.string()));
    ImageSummary summary;
    summary.file_bytes = static_cast<uint64_t>(status.st_size);
    for (const auto& chunk : tables.chunks)
        summary.stored_bytes += chunk.stored_size;
    for (const auto& table : tables.page_tables)
        for (const uint64_t entry : table)
            ++(entry == 0                       ? summary.pages_zero
               : entry >> image_file_shift != 0 ? summary.pages_older
                                                : summary.pages_stored);
    summary.older = tables.older;
    summary.digest = root_digest(tables);
    state_->finished = true;
    return summary;
}

} // namespace tlc
