// SPDX-License-Identifier: GPL-2.0-or-later
// Opening an image: sizes first, then checksums, then what the numbers mean.
#include <tlc/base/fd.hpp>
#include <tlc/image/chunk_codec.hpp>
#include <tlc/image/reader_state.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace tlc {
namespace {

// The file's size, after a look at what any HDF5 file starts with.
Result<uint64_t> check_file(const std::filesystem::path& path) {
    auto fd = open_file(path, O_RDONLY);
    if (!fd) {
        std::error_code unknown;
        const bool missing = !std::filesystem::exists(path, unknown) && !unknown;
        return fail(missing ? ErrorKind::damaged : ErrorKind::failed, "{}", fd.error().message);
    }
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0) return fail_errno(errno, "fstat");
    if (!S_ISREG(status.st_mode)) return fail(ErrorKind::damaged, "not a regular file");
    constexpr std::array<unsigned char, 8> signature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    std::array<std::byte, 8> start{};
    if (!read_at(fd->get(), start, 0) || std::memcmp(start.data(), signature.data(), start.size()) != 0)
        return fail(ErrorKind::damaged, "not an HDF5 file");
    return static_cast<uint64_t>(status.st_size);
}

Status check_sum(hid_t dataset, const char* name, const Checksum& actual) {
    TLC_TRY_ASSIGN(expected, hdf::read_text(dataset, "xxh3_128", 32));
    if (expected != actual.text()) return fail(ErrorKind::damaged, "checksum of {} does not match", name);
    return {};
}

herr_t collect_name(hid_t, const char* name, const H5A_info_t*, void* names) {
    auto& list = *static_cast<std::vector<std::string>*>(names);
    list.emplace_back(name);
    return list.size() > image_max_counters ? -1 : 0;
}

} // namespace

Status ImageReader::State::load_header() {
    const hid_t root = file.get();
    TLC_TRY_ASSIGN(magic, hdf::read_text(root, "magic", image_max_text));
    if (magic != "TLC-MEMORY-IMAGE") return fail(ErrorKind::damaged, "not a memory image (wrong magic)");
    TLC_TRY_ASSIGN(found_version, hdf::read_number(root, "format_version"));
    version = found_version;
    if (version > image_format_version)
        return fail(ErrorKind::incompatible,
                    "format version {} is newer than this program's {}: use a newer one", version,
                    image_format_version);
    if (version == 0) return fail(ErrorKind::damaged, "format version 0 does not exist");
    for (const auto& field : info_fields) {
        TLC_TRY_ASSIGN(text, hdf::read_text(root, field.name, image_max_text));
        tables.info.*field.text = text;
    }
    TLC_TRY_ASSIGN(page_size, hdf::read_number(root, "page_size"));
    if (page_size != image_page_size)
        return fail(ErrorKind::damaged, "page size {} instead of {}", page_size, image_page_size);
    return check_info(tables.info);
}

Status ImageReader::State::load_chunks() {
    TLC_TRY_ASSIGN(dataset, hdf::open_contiguous(file.get(), "chunks", H5T_STD_U64LE, 2, file_size));
    if (dataset.shape[1] != 3) return fail(ErrorKind::damaged, "chunks has {} columns", dataset.shape[1]);
    tables.chunks.resize(dataset.shape[0]);
    TLC_TRY(hdf::read_all(dataset, H5T_STD_U64LE, tables.chunks.data(), "chunks"));
    TLC_TRY(check_sum(dataset.id.get(), "chunks", chunks_checksum(tables.chunks)));
    uint64_t total = 0;
    for (size_t i = 0; i < tables.chunks.size(); ++i) {
        const uint64_t size = tables.chunks[i].stored_size;
        if (size < stored_chunk_min || size > stored_chunk_max)
            return fail(ErrorKind::damaged, "chunk {} has an impossible size of {} bytes", i, size);
        total += size;
    }
    if (total > file_size) return fail(ErrorKind::damaged, "the chunks are larger than the file");
    return {};
}

Status ImageReader::State::load_block(hid_t ram, size_t index) {
    TLC_TRY_ASSIGN(group, hdf::open_group(ram, std::to_string(index).c_str()));
    TLC_TRY_ASSIGN(id, hdf::read_text(group.get(), "id", image_max_text));
    TLC_TRY_ASSIGN(length, hdf::read_number(group.get(), "length"));
    TLC_TRY_ASSIGN(page_size, hdf::read_number(group.get(), "page_size"));
    tables.blocks.push_back({id, length, page_size});
    TLC_TRY_ASSIGN(dataset, hdf::open_contiguous(group.get(), "page_table", H5T_STD_U64LE, 1, file_size));
    if (length % image_page_size != 0 || dataset.shape[0] != length / image_page_size)
        return fail(ErrorKind::damaged, "page_table has {} entries for {} bytes", dataset.shape[0], length);
    auto& table = tables.page_tables.emplace_back(dataset.shape[0]);
    TLC_TRY(hdf::read_all(dataset, H5T_STD_U64LE, table.data(), "page_table"));
    return check_sum(dataset.id.get(), "page_table", table_checksum(table));
}

Status ImageReader::State::load_ram() {
    TLC_TRY_ASSIGN(ram, hdf::open_group(file.get(), "ram"));
    TLC_TRY_ASSIGN(count, hdf::read_number(ram.get(), "blocks"));
    if (count > image_max_blocks) return fail(ErrorKind::damaged, "{} RAM blocks", count);
    for (size_t i = 0; i < count; ++i)
        if (auto loaded = load_block(ram.get(), i); !loaded)
            return in_context(loaded.error(), fmt::format("RAM block {}", i));
    return check_blocks(tables.blocks);
}

Status ImageReader::State::load_device_state() {
    TLC_TRY_ASSIGN(dataset, hdf::open_contiguous(file.get(), "device_state", H5T_STD_U8LE, 1, file_size));
    if (dataset.bytes > image_max_device_state)
        return fail(ErrorKind::damaged, "device_state of {} bytes", dataset.bytes);
    device_state.resize(dataset.bytes);
    TLC_TRY(hdf::read_all(dataset, H5T_STD_U8LE, device_state.data(), "device_state"));
    tables.device_state_bytes = dataset.bytes;
    tables.device_state_sum = checksum(device_state);
    return check_sum(dataset.id.get(), "device_state", tables.device_state_sum);
}

Status ImageReader::State::load_counters() {
    auto& counters = tables.counters;
    TLC_TRY_ASSIGN(pause, hdf::read_number(file.get(), "pause_ns"));
    TLC_TRY_ASSIGN(latency, hdf::read_number(file.get(), "latency_ns"));
    counters.pause_ns = pause;
    counters.latency_ns = latency;
    TLC_TRY_ASSIGN(group, hdf::open_group(file.get(), "counters"));
    std::vector<std::string> names;
    if (H5Aiterate2(group.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_name, &names) < 0)
        return fail(ErrorKind::damaged, "counters are unreadable");
    for (const auto& name : names) {
        TLC_TRY_ASSIGN(value, hdf::read_number(group.get(), name.c_str()));
        counters.further[name] = value;
    }
    return check_counters(counters);
}

Status ImageReader::State::load_pages() {
    TLC_TRY_ASSIGN(dataset, hdf::check(H5Dopen2(file.get(), "pages", H5P_DEFAULT), H5Dclose, "pages"));
    TLC_TRY_ASSIGN(type, hdf::check(H5Dget_type(dataset.get()), H5Tclose, "pages"));
    TLC_TRY_ASSIGN(space, hdf::check(H5Dget_space(dataset.get()), H5Sclose, "pages"));
    TLC_TRY_ASSIGN(creation, hdf::check(H5Dget_create_plist(dataset.get()), H5Pclose, "pages"));
    std::array<hsize_t, 2> shape{};
    std::array<hsize_t, 2> chunk{};
    const std::array<hsize_t, 2> expected_shape{tables.chunks.size() * image_chunk_pages, image_page_size};
    const std::array<hsize_t, 2> expected_chunk{image_chunk_pages, image_page_size};
    const bool right =
        H5Tequal(type.get(), H5T_STD_U8LE) > 0 && H5Pget_layout(creation.get()) == H5D_CHUNKED &&
        H5Sget_simple_extent_ndims(space.get()) == 2 &&
        H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr) == 2 && shape == expected_shape &&
        H5Pget_chunk(creation.get(), 2, chunk.data()) == 2 && chunk == expected_chunk;
    if (!right) return fail(ErrorKind::damaged, "dataset pages has the wrong type or shape");
    pages = std::move(dataset);
    return {};
}

Status ImageReader::State::open() {
    TLC_TRY_ASSIGN(size, check_file(path));
    file_size = size;
    TLC_TRY_ASSIGN(access, hdf::file_access());
    TLC_TRY_ASSIGN(opened, hdf::check(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose, "HDF5"));
    file = std::move(opened);
    return load_header();
}

Status ImageReader::State::load() {
    const hdf::Lock lock;
    TLC_TRY(open());
    TLC_TRY(load_chunks());
    TLC_TRY(load_older());
    TLC_TRY(load_ram());
    TLC_TRY(load_device_state());
    TLC_TRY(load_counters());
    TLC_TRY(load_pages());
    TLC_TRY_ASSIGN(inverted, invert_page_tables(tables));
    owners = std::move(inverted);
    for (size_t file_number = 0; file_number < owners.size(); ++file_number)
        for (uint64_t chunk = 0; chunk < owners[file_number].size() / image_chunk_pages; ++chunk)
            used_chunks += (file_number == 0 || is_used(file_number, chunk)) ? 1 : 0;
    digest = root_digest(tables);
    return {};
}

Status ImageReader::State::load_as(const ImageOlderFile& expected) {
    const hdf::Lock lock;
    TLC_TRY(open());
    TLC_TRY(load_chunks());
    if (tables.info.identity != expected.identity || tables.chunks.size() != expected.chunks ||
        chunks_checksum(tables.chunks).text() != expected.chunks_checksum)
        return fail(ErrorKind::damaged, "this is not the older file that the image refers to");
    return load_pages();
}

// Those that the image of version 2 lists (the root digest takes the version from this), from the directory
// of the image.
Status ImageReader::State::load_older() {
    const htri_t listed = H5Lexists(file.get(), "older", H5P_DEFAULT);
    if (listed < 0 || (listed > 0) != (version == 2))
        return fail(ErrorKind::damaged, "format version {} does not go with {} older files", version,
                    listed > 0 ? "a list of" : "no");
    if (listed == 0) return {};
    TLC_TRY_ASSIGN(group, hdf::open_group(file.get(), "older"));
    TLC_TRY_ASSIGN(count, hdf::read_number(group.get(), "files"));
    if (count == 0 || count > image_max_older_files) return fail(ErrorKind::damaged, "{} older files", count);
    for (uint64_t n = 1; n <= count; ++n) {
        TLC_TRY_ASSIGN(one, hdf::open_group(group.get(), std::to_string(n).c_str()));
        TLC_TRY_ASSIGN(identity, hdf::read_text(one.get(), "identity", 36));
        TLC_TRY_ASSIGN(chunks, hdf::read_number(one.get(), "chunks"));
        TLC_TRY_ASSIGN(sum, hdf::read_text(one.get(), "chunks_xxh3_128", 32));
        tables.older.push_back({identity, chunks, sum});
    }
    TLC_TRY(check_older_files(tables.older));
    for (const auto& expected : tables.older) {
        auto& state = older.emplace_back(std::make_unique<State>());
        state->path = path.parent_path() / older_file_name(expected.identity);
        if (auto loaded = state->load_as(expected); !loaded)
            return in_context(loaded.error(), state->path.filename().string());
    }
    return {};
}

Result<ImageReader> ImageReader::open(const std::filesystem::path& path, const std::string& digest) {
    auto state = std::make_unique<State>();
    state->path = path;
    if (auto loaded = state->load(); !loaded) {
        // What the file system or the library could not read is as unusable as what does not match.
        auto error = loaded.error();
        if (error.kind == ErrorKind::failed && state->file_size != 0) error.kind = ErrorKind::damaged;
        return in_context(std::move(error), path.string());
    }
    if (!digest.empty() && digest != state->digest)
        return fail(ErrorKind::damaged, "{}: this is not the image that was saved (digest {} instead of {})",
                    path.string(), state->digest, digest);
    return ImageReader(std::move(state));
}

} // namespace tlc
