// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/catalog/manifest.hpp>
#include <tlc/catalog/manifest_checksum.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/sample_manifest.hpp"
#include "../support/temporary_directory.hpp"

namespace tlc {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json sample() { return json::parse(*manifest_text(test::sample_manifest(7, 2))); }

// The text of a changed manifest with a checksum that fits.
std::string sealed(json object) {
    object["checksum"] = *manifest_checksum(object);
    return object.dump();
}

TEST(Manifest, reads_back_what_was_written) {
    auto manifest = test::sample_manifest(7, 2);
    auto text = manifest_text(manifest);
    ASSERT_TRUE(text) << text.error().message;
    auto read = parse_manifest(*text);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, manifest);

    manifest.disk.reset();
    manifest.job = json::object();
    text = manifest_text(manifest);
    ASSERT_TRUE(text);
    EXPECT_EQ(*parse_manifest(*text), manifest);
}

TEST(Manifest, refuses_every_changed_byte) {
    const std::string text = sample().dump();
    for (size_t at = 0; at < text.size(); ++at) {
        std::string broken = text;
        broken[at] = static_cast<char>(broken[at] ^ (1 << (at % 8)));
        EXPECT_FALSE(parse_manifest(broken)) << at << " " << broken;
    }
    for (size_t size = 0; size < text.size(); ++size)
        EXPECT_FALSE(parse_manifest(text.substr(0, size)));
}

TEST(Manifest, refuses_missing_unknown_and_mistyped_keys) {
    const json whole = sample();
    ASSERT_TRUE(parse_manifest(sealed(whole)));
    for (const auto& item : whole.items()) {
        if (item.key() == "checksum") continue;
        json object = whole;
        object.erase(item.key());
        EXPECT_FALSE(parse_manifest(sealed(object))) << item.key();
        object[item.key()] = true;
        EXPECT_FALSE(parse_manifest(sealed(object))) << item.key();
        if (!item.value().is_object() || item.key() == "job") continue;
        for (const auto& inner : item.value().items()) {
            object = whole;
            object[item.key()].erase(inner.key());
            EXPECT_FALSE(parse_manifest(sealed(object))) << item.key() << "." << inner.key();
            object[item.key()][inner.key()] = true;
            EXPECT_FALSE(parse_manifest(sealed(object))) << item.key() << "." << inner.key();
        }
        object = whole;
        object[item.key()]["surprise"] = 1;
        const auto read = parse_manifest(sealed(object));
        ASSERT_FALSE(read) << item.key();
        EXPECT_EQ(read.error().kind, ErrorKind::damaged);
        EXPECT_THAT(read.error().message, HasSubstr("\"surprise\""));
    }
}

TEST(Manifest, refuses_names_that_leave_the_directory) {
    for (const char* name : {"", ".", "..", "../memory.h5", "/etc/passwd", "a/b", ".hidden", "a\nb"}) {
        json object = sample();
        object["memory"]["file"] = name;
        EXPECT_FALSE(parse_manifest(sealed(object))) << name;
        object = sample();
        object["disk"]["path"] = name;
        EXPECT_FALSE(parse_manifest(sealed(object))) << name;
        object = sample();
        object["disk"]["files"][name] = 1;
        EXPECT_FALSE(parse_manifest(sealed(object))) << name;
    }
}

TEST(Manifest, refuses_numbers_out_of_range) {
    for (const json& number : {json(-1), json(1.5), json("1")}) {
        json object = sample();
        object["memory"]["size"] = number;
        EXPECT_FALSE(parse_manifest(sealed(object))) << number;
    }
    json object = sample();
    object["timings"]["pause_ms"] = -1.0;
    EXPECT_FALSE(parse_manifest(sealed(object)));
    object = sample();
    object["image"]["mtime_ns"] = UINT64_MAX;
    EXPECT_FALSE(parse_manifest(sealed(object)));
}

TEST(Manifest, tells_a_newer_version_from_damage) {
    json object = sample();
    object["format_version"] = 4;
    object["news"] = "unknown here";
    const auto read = parse_manifest(sealed(object));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::incompatible);
}

TEST(Manifest, names_older_files_from_version_2_on) {
    auto manifest = test::sample_manifest(3, 2);
    EXPECT_EQ(json::parse(*manifest_text(manifest))["format_version"], 1);
    manifest.memory.older = {{"older-1.h5", 7}, {"older-2.h5", 8}};
    const auto text = manifest_text(manifest);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(json::parse(*text)["format_version"], 2);
    EXPECT_EQ(*parse_manifest(*text), manifest);
    for (const char* name : {"../elsewhere", "", "a/b"}) {
        manifest.memory.older = {{name, 7}};
        EXPECT_FALSE(manifest_text(manifest)) << name;
    }
}

TEST(Manifest, names_checksums_of_the_disk_from_version_3_on) {
    auto manifest = test::sample_manifest(3, 2);
    manifest.disk->sums = "00112233445566778899aabbccddeeff";
    const auto text = manifest_text(manifest);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(json::parse(*text)["format_version"], 3);
    EXPECT_EQ(*parse_manifest(*text), manifest);
}

TEST(Manifest, refuses_bottomless_and_endless_texts) {
    EXPECT_FALSE(parse_manifest(std::string(500'000, '[')));
    EXPECT_FALSE(parse_manifest(std::string(100'000, '{')));
    std::string nested = "{\"job\":";
    for (int i = 0; i < 50'000; ++i)
        nested += "{\"a\":";
    EXPECT_FALSE(parse_manifest(nested + "1" + std::string(50'001, '}')));
    EXPECT_FALSE(parse_manifest(std::string(manifest_limit + 1, ' ')));
}

TEST(Manifest, is_not_written_if_it_could_not_be_read) {
    auto manifest = test::sample_manifest(1, 1);
    manifest.vm.qemu_arguments.emplace_back("\xff");
    EXPECT_FALSE(manifest_text(manifest));
    manifest = test::sample_manifest(1, 1);
    manifest.memory.file = "../memory.h5";
    EXPECT_FALSE(manifest_text(manifest));
    manifest = test::sample_manifest(1, 1);
    manifest.job = "no object";
    EXPECT_FALSE(manifest_text(manifest));
}

TEST(Parts, are_checked_for_presence_and_size) {
    const test::TemporaryDirectory directory;
    const auto manifest = test::sample_manifest(1, 1);
    test::write_sample_parts(directory.path());
    EXPECT_TRUE(check_parts(manifest, directory.path()));
    test::write_file(directory / "disk/stdout", "hell");
    EXPECT_THAT(check_parts(manifest, directory.path()).error().message, HasSubstr("4 bytes instead of 5"));
    std::filesystem::remove(directory / "memory.h5");
    std::filesystem::create_symlink("disk/root.qcow2", directory / "memory.h5");
    const auto checked = check_parts(manifest, directory.path());
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::damaged);
}

} // namespace
} // namespace tlc
