// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/image/hdf5.hpp>

#include <charconv>
#include <cstring>

namespace tlc::hdf {
namespace {

std::recursive_mutex& library_mutex() {
    static std::recursive_mutex mutex;
    return mutex;
}

void start_library() {
    // A file that could not be closed (full disk) must not be touched again at exit; plugins are never
    // loaded, the chunks are coded here.
    H5dont_atexit();
    H5open();
    H5PLset_loading_state(0);
}

struct Cause {
    std::string text;
    std::optional<int> error_number;
};

herr_t take_cause(unsigned, const H5E_error2_t* entry, void* data) {
    auto& cause = *static_cast<Cause*>(data);
    const std::string_view text = entry->desc ? entry->desc : "";
    cause.text = text; // the last one visited is the innermost
    constexpr std::string_view key = "errno = ";
    if (const auto at = text.find(key); at != std::string_view::npos) {
        int number = 0;
        const auto digits = text.substr(at + key.size());
        if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec == std::errc{})
            cause.error_number = number;
    }
    return 0;
}

Result<Id> text_type(size_t size) {
    TLC_TRY_ASSIGN(type, check(H5Tcopy(H5T_C_S1), H5Tclose, "text type"));
    TLC_TRY(check(H5Tset_size(type.get(), size), "text type"));
    TLC_TRY(check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "text type"));
    TLC_TRY(check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "text type"));
    return std::move(type);
}

Status write_attribute(hid_t object, const char* name, hid_t type, const void* value) {
    const Lock lock;
    TLC_TRY_ASSIGN(space, check(H5Screate(H5S_SCALAR), H5Sclose, name));
    TLC_TRY_ASSIGN(attribute, check(H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                                    H5Aclose, name));
    return check(H5Awrite(attribute.get(), type, value), name);
}

// An attribute of one element, with its type.
Result<std::pair<Id, Id>> open_attribute(hid_t object, const char* name) {
    auto attribute = check(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, name);
    if (!attribute) return fail(ErrorKind::damaged, "attribute {} is missing or unreadable", name);
    TLC_TRY_ASSIGN(space, check(H5Aget_space(attribute->get()), H5Sclose, name));
    TLC_TRY_ASSIGN(type, check(H5Aget_type(attribute->get()), H5Tclose, name));
    if (H5Sget_simple_extent_type(space.get()) != H5S_SCALAR)
        return fail(ErrorKind::damaged, "attribute {} is not a single value", name);
    return std::pair(std::move(*attribute), std::move(type));
}

} // namespace

Lock::Lock() : lock_(library_mutex()) {
    static const bool started = (start_library(), true);
    static_cast<void>(started);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); // a setting of the thread
}

herr_t Id::reset() {
    if (!valid()) return 0;
    const Lock lock;
    return close_(std::exchange(id_, H5I_INVALID_HID));
}

tl::unexpected<Error> failure(std::string_view step) {
    Cause cause;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, take_cause, &cause);
    H5Eclear2(H5E_DEFAULT); // the library does not free what a thread that ends leaves here
    if (cause.error_number) return fail_errno(*cause.error_number, std::string(step));
    return fail("{}: {}", step, cause.text.empty() ? "HDF5 gives no reason" : cause.text);
}

Status check(herr_t result, std::string_view step) {
    if (result < 0) return failure(step);
    return {};
}

Result<Id> check(hid_t id, Id::Close close, std::string_view step) {
    if (id < 0) return failure(step);
    return Id(id, close);
}

Result<Id> file_access() {
    const Lock lock;
    TLC_TRY_ASSIGN(list, check(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "file access"));
    TLC_TRY(check(H5Pset_file_locking(list.get(), false, true), "file access"));
    TLC_TRY(check(H5Pset_libver_bounds(list.get(), H5F_LIBVER_V18, H5F_LIBVER_V18), "file access"));
    TLC_TRY(check(H5Pset_fclose_degree(list.get(), H5F_CLOSE_STRONG), "file access"));
    // Chunks bypass the library's chunk cache.
    TLC_TRY(check(H5Pset_cache(list.get(), 0, 0, 0, 0), "file access"));
    return std::move(list);
}

Status write_text(hid_t object, const char* name, const std::string& text) {
    const Lock lock;
    TLC_TRY_ASSIGN(type, text_type(std::max<size_t>(text.size(), 1)));
    return write_attribute(object, name, type.get(), text.c_str());
}

Status write_number(hid_t object, const char* name, uint64_t value) {
    return write_attribute(object, name, H5T_STD_U64LE, &value);
}

Result<Id> create_group(hid_t where, const char* name) {
    TLC_TRY_ASSIGN(creation, check(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, name));
    TLC_TRY(check(H5Pset_attr_phase_change(creation.get(), 1024, 0), name));
    TLC_TRY(check(H5Pset_link_phase_change(creation.get(), 1024, 0), name));
    return check(H5Gcreate2(where, name, H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Gclose, name);
}

Result<Id> write_dataset(hid_t where, const char* name, hid_t type, std::span<const hsize_t> shape,
                         const void* data) {
    const Lock lock;
    TLC_TRY_ASSIGN(space, check(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                                H5Sclose, name));
    TLC_TRY_ASSIGN(dataset,
                   check(H5Dcreate2(where, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                         H5Dclose, name));
    TLC_TRY(check(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), name));
    return std::move(dataset);
}

Result<std::string> read_text(hid_t object, const char* name, size_t limit) {
    const Lock lock;
    TLC_TRY_ASSIGN(attribute, open_attribute(object, name));
    const hid_t stored = attribute.second.get();
    const size_t size = H5Tget_size(stored);
    if (H5Tget_class(stored) != H5T_STRING || H5Tis_variable_str(stored) != 0 || size == 0 || size > limit)
        return fail(ErrorKind::damaged, "attribute {} is not a text of at most {} bytes", name, limit);
    TLC_TRY_ASSIGN(type, text_type(size));
    if (H5Tget_cset(stored) != H5T_CSET_UTF8 || H5Tget_strpad(stored) != H5T_STR_NULLPAD)
        return fail(ErrorKind::damaged, "attribute {} is not a zero-padded UTF-8 text", name);
    std::string text(size, '\0');
    if (H5Aread(attribute.first.get(), type.get(), text.data()) < 0)
        return fail(ErrorKind::damaged, "attribute {} is unreadable", name);
    const size_t length = std::strlen(text.c_str());
    if (text.find_first_not_of('\0', length) != std::string::npos)
        return fail(ErrorKind::damaged, "attribute {} goes on behind its end", name);
    text.resize(length);
    return text;
}

Result<uint64_t> read_number(hid_t object, const char* name) {
    const Lock lock;
    TLC_TRY_ASSIGN(attribute, open_attribute(object, name));
    uint64_t value = 0;
    if (H5Tequal(attribute.second.get(), H5T_STD_U64LE) <= 0 ||
        H5Aread(attribute.first.get(), H5T_NATIVE_UINT64, &value) < 0)
        return fail(ErrorKind::damaged, "attribute {} is not an unsigned 64-bit number", name);
    return value;
}

Result<Id> open_group(hid_t where, const char* name) {
    const Lock lock;
    auto group = check(H5Gopen2(where, name, H5P_DEFAULT), H5Gclose, name);
    if (!group) return fail(ErrorKind::damaged, "group {} is missing or unreadable", name);
    return group;
}

Result<Dataset> open_contiguous(hid_t where, const char* name, hid_t type, size_t rank, uint64_t file_size) {
    const Lock lock;
    auto id = check(H5Dopen2(where, name, H5P_DEFAULT), H5Dclose, name);
    if (!id) return fail(ErrorKind::damaged, "dataset {} is missing or unreadable", name);
    TLC_TRY_ASSIGN(stored, check(H5Dget_type(id->get()), H5Tclose, name));
    TLC_TRY_ASSIGN(space, check(H5Dget_space(id->get()), H5Sclose, name));
    TLC_TRY_ASSIGN(creation, check(H5Dget_create_plist(id->get()), H5Pclose, name));
    if (H5Tequal(stored.get(), type) <= 0 || H5Pget_layout(creation.get()) != H5D_CONTIGUOUS ||
        H5Pget_external_count(creation.get()) != 0 ||
        H5Sget_simple_extent_ndims(space.get()) != static_cast<int>(rank))
        return fail(ErrorKind::damaged, "dataset {} has the wrong type or layout", name);
    Dataset dataset{std::move(*id), std::vector<hsize_t>(rank), H5Tget_size(stored.get())};
    TLC_TRY(check(H5Sget_simple_extent_dims(space.get(), dataset.shape.data(), nullptr), name));
    for (const hsize_t extent : dataset.shape)
        if (extent > file_size || __builtin_mul_overflow(dataset.bytes, extent, &dataset.bytes))
            return fail(ErrorKind::damaged, "dataset {} is larger than the file", name);
    if (dataset.bytes == 0) return dataset;
    const haddr_t offset = H5Dget_offset(dataset.id.get());
    if (H5Dget_storage_size(dataset.id.get()) != dataset.bytes || offset == HADDR_UNDEF ||
        dataset.bytes > file_size || offset > file_size - dataset.bytes)
        return fail(ErrorKind::damaged, "dataset {} is not all in the file", name);
    return dataset;
}

Status read_all(const Dataset& dataset, hid_t type, void* to, std::string_view name) {
    const Lock lock;
    if (dataset.bytes == 0) return {};
    if (H5Dread(dataset.id.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0) {
        auto error = failure(name);
        error.value().kind = ErrorKind::damaged;
        return error;
    }
    return {};
}

} // namespace tlc::hdf
