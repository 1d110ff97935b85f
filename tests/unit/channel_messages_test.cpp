// SPDX-License-Identifier: GPL-2.0-or-later
#include <tlc/channel/messages.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace tlc {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

constexpr size_t description = 152;
constexpr size_t ram_block = 296;

RamBlock block(std::string id, uint64_t address, uint64_t length) {
    return {std::move(id), address, length, length, 4096, true, false};
}

template <typename M>
M description_of(size_t blocks = 2) {
    M m;
    m.page_size = 4096;
    m.pid = 4711;
    m.qemu_version = "10.0.13";
    m.machine = "pc-q35-10.0";
    for (size_t i = 0; i < blocks; ++i)
        m.blocks.push_back(block("ram" + std::to_string(i), (i + 1) << 32, uint64_t{1} << 30));
    return m;
}

std::vector<Message> one_of_each() {
    auto hello = description_of<Hello>();
    hello.blocks[0].missing_faults = true;
    hello.blocks[1].protectable = false;
    hello.blocks[1].used_length = 8192;
    auto ready = description_of<Ready>(256);
    ready.mode = ChannelMode::load;
    return {hello,
            Pause{},
            Paused{32768, 10, 20, true},
            Resume{},
            Resumed{30},
            LoadBegin{{{"pc.ram", 4096}, {"vga.vram", 0}}},
            ready,
            LoadDevices{99},
            Loaded{},
            Arm{},
            Armed{0x3001},
            Track{},
            Tracked{32768},
            Sync{false},
            Sync{true},
            Synced{7, 40, 50},
            Release{},
            Released{60},
            Filled{},
            ErrorMessage{"device 'vfio' blocks; gr\xc3\xbc\xc3\x9f"}};
}

Result<Message> decode(const Bytes& frame) {
    if (frame.size() < frame_header_size) return fail("short header");
    TLC_TRY_ASSIGN(header, decode_header(std::span<const std::byte, frame_header_size>(frame.data(),
                                                                                       frame_header_size)));
    if (frame.size() != frame_header_size + header.payload_length) return fail("short payload");
    return decode_payload(header.type, std::span(frame).subspan(frame_header_size));
}

void put(Bytes& frame, size_t offset, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i)
        frame.at(offset + i) = static_cast<std::byte>(value >> (8 * i));
}

std::string refusal(const Bytes& frame) {
    const auto result = decode(frame);
    return result ? "accepted" : result.error().message;
}

TEST(ChannelMessages, RoundTripOfEveryType) {
    for (const Message& m : one_of_each()) {
        const auto frame = encode(m);
        ASSERT_TRUE(frame) << frame.error().message;
        const auto back = decode(*frame);
        ASSERT_TRUE(back) << back.error().message;
        EXPECT_EQ(*back, m) << message_name(message_type(m));
        EXPECT_LT(frame->size(), 100000U);
    }
}

TEST(ChannelMessages, LayoutIsTheWrittenOne) {
    const auto frame = *encode(Paused{0x0102, 3, 4, true});
    const unsigned char expected[] = {'T', 'L', 'C', '1', 4, 0, 3, 0, 32, 0, 0, 0, 0, 0, 0, 0,
                                      2,   1,   0,   0,   0, 0, 0, 0, 3,  0, 0, 0, 0, 0, 0, 0,
                                      4,   0,   0,   0,   0, 0, 0, 0, 1,  0, 0, 0, 0, 0, 0, 0};
    ASSERT_EQ(frame.size(), sizeof expected);
    EXPECT_EQ(std::memcmp(frame.data(), expected, sizeof expected), 0);
    const auto hello = *encode(description_of<Hello>(3));
    EXPECT_EQ(hello.size(), frame_header_size + description + 3 * ram_block);
    const auto text_at = [&](size_t offset) {
        return std::string(reinterpret_cast<const char*>(hello.data()) + frame_header_size + offset);
    };
    EXPECT_EQ(text_at(24), "10.0.13");
    EXPECT_EQ(text_at(88), "pc-q35-10.0");
    EXPECT_EQ(text_at(152), "ram0");
}

// Numbers, lengths and descriptors as the document has them.
TEST(ChannelMessages, NumbersAreTheWrittenOnes) {
    struct Case {
        Message message;
        int number;
        size_t payload;
        size_t descriptors;
        const char* name;
    };
    const std::vector<Case> cases = {
        {description_of<Hello>(0), 1, 152, 0, "HELLO"},
        {Pause{}, 2, 0, 0, "PAUSE"},
        {Paused{1, 2, 3, true}, 3, 32, 1, "PAUSED"},
        {Resume{}, 4, 0, 0, "RESUME"},
        {Resumed{1}, 5, 8, 0, "RESUMED"},
        {LoadBegin{}, 6, 8, 0, "LOAD_BEGIN"},
        {description_of<Ready>(0), 7, 152, 0, "READY"},
        {LoadDevices{1}, 8, 8, 1, "LOAD_DEVICES"},
        {Loaded{}, 9, 0, 0, "LOADED"},
        {Arm{}, 10, 0, 0, "ARM"},
        {Armed{1}, 11, 16, 1, "ARMED"},
        {Track{}, 12, 8, 0, "TRACK"},
        {Tracked{8}, 13, 8, 1, "TRACKED"},
        {Sync{true}, 14, 8, 0, "SYNC"},
        {ErrorMessage{"x"}, 15, 1, 0, "ERROR"},
        {Synced{1, 2, 3}, 16, 24, 0, "SYNCED"},
        {Release{}, 17, 0, 0, "RELEASE"},
        {Released{1}, 18, 8, 0, "RELEASED"},
        {Filled{}, 19, 0, 0, "FILLED"},
    };
    EXPECT_EQ(cases.size(), std::variant_size_v<Message>);
    for (const Case& c : cases) {
        const MessageType type = message_type(c.message);
        EXPECT_EQ(static_cast<int>(type), c.number);
        EXPECT_EQ(message_name(type), c.name);
        EXPECT_EQ(descriptors_of(type), c.descriptors) << c.name;
        EXPECT_EQ(encode(c.message)->size(), frame_header_size + c.payload) << c.name;
    }
}

TEST(ChannelMessages, EveryTruncationAndExtensionIsRefused) {
    for (const Message& m : one_of_each()) {
        const auto frame = *encode(m);
        const MessageType type = message_type(m);
        const std::span<const std::byte> payload = std::span(frame).subspan(frame_header_size);
        if (type == MessageType::error) continue; // any length is a text
        for (size_t n = 0; n < payload.size(); ++n)
            EXPECT_FALSE(decode_payload(type, payload.first(n))) << message_name(type) << " cut to " << n;
        Bytes longer(payload.begin(), payload.end());
        longer.push_back(std::byte{0});
        EXPECT_FALSE(decode_payload(type, longer)) << message_name(type);
    }
    EXPECT_FALSE(decode_payload(MessageType::error, {}));
    EXPECT_FALSE(decode_payload(MessageType::error, Bytes(4097)));
    EXPECT_FALSE(decode_payload(static_cast<MessageType>(20), {}));
}

TEST(ChannelMessages, BadHeadersAreRefused) {
    const auto good = *encode(Resumed{1});
    struct Case {
        size_t offset;
        uint64_t value;
        size_t size;
        const char* message;
    };
    for (const Case& c :
         {Case{0, 0, 4, "magic"}, Case{4, 1, 2, "version 1"}, Case{4, 0, 2, "version 0"},
          Case{6, 0, 2, "unknown message type 0"}, Case{6, 20, 2, "unknown message type 20"},
          Case{6, 0xffff, 2, "unknown message type"}, Case{8, 9, 4, "RESUMED with a payload of 9"},
          Case{8, 0xffffffff, 4, "payload of 4294967295"}, Case{12, 1, 4, "reserved"}}) {
        Bytes frame = good;
        put(frame, c.offset, c.value, c.size);
        EXPECT_THAT(refusal(frame), HasSubstr(c.message));
    }
}

TEST(ChannelMessages, BadFieldsOfHelloAreRefused) {
    const auto good = *encode(description_of<Hello>());
    const size_t first = frame_header_size + description;
    struct Case {
        size_t offset;
        uint64_t value;
        size_t size;
        const char* message;
    };
    const std::vector<Case> cases = {
        {16, 0, 4, "mode 0"},
        {16, 3, 4, "mode 3"},
        {20, 0, 4, "page size 0"},
        {20, 5000, 4, "page size 5000"},
        {24, 257, 4, "257 RAM blocks"},
        {24, 1, 4, "do not hold 1 RAM blocks"},
        {24, 0xffffffff, 4, "RAM blocks"},
        {28, 0, 4, "process id 0"},
        {28, 0x80000000, 4, "process id"},
        {32, 1, 8, "reserved"},
        {40, 0x1b, 1, "printable"},
        {first, 0, 1, "no id"},
        {first + ram_block, '0', 1, "accepted"},
        {first + ram_block + 3, '0', 1, "named twice"},
        {first + 1, 0x80, 1, "printable"},
        {first + 256, 0, 8, "host address"},
        {first + 256, 4097, 8, "host address"},
        {first + 256, uint64_t{1} << 63, 8, "host address"},
        {first + 256, uint64_t{2} << 32, 8, "overlap"},
        {first + 264, (uint64_t{1} << 30) + 4096, 8, "used length"},
        {first + 264, 100, 8, "used length"},
        {first + 272, 0, 8, "maximum length"},
        {first + 272, ~uint64_t{0} - 4095, 8, "maximum length"},
        {first + 280, 0, 8, "page size 0"},
        {first + 280, 6000, 8, "page size 6000"},
        {first + 280, uint64_t{1} << 40, 8, "page size"},
        {first + 288, 4, 4, "unknown flags"},
        {first + 288, 2, 4, "without write protection"},
        {first + 292, 1, 4, "reserved"},
    };
    for (const Case& c : cases) {
        Bytes frame = good;
        put(frame, c.offset, c.value, c.size);
        EXPECT_THAT(refusal(frame), HasSubstr(c.message)) << "offset " << c.offset << " value " << c.value;
    }
    for (const auto& [offset, size] : {std::pair<size_t, size_t>{40, 64}, {104, 64}, {first, 256}}) {
        Bytes frame = good;
        std::fill_n(frame.begin() + static_cast<long>(offset), size, std::byte{'x'});
        EXPECT_THAT(refusal(frame), HasSubstr("no end"));
    }
}

TEST(ChannelMessages, BadFieldsOfOthersAreRefused) {
    const auto check = [](const Message& m, size_t offset, uint64_t value, size_t size, const char* message) {
        Bytes frame = *encode(m);
        put(frame, offset, value, size);
        EXPECT_THAT(refusal(frame), HasSubstr(message));
    };
    const Paused paused{100, 10, 20, true};
    check(paused, 16, 0, 8, "device state of 0");
    check(paused, 16, ~uint64_t{0}, 8, "device state of");
    check(paused, 32, 9, 8, "ends before it begins");
    check(paused, 40, 2, 4, "was_running is 2");
    check(paused, 44, 1, 4, "reserved");
    const LoadBegin begin{{{"pc.ram", 4096}, {"pc.rem", 4096}}};
    check(begin, 16, 3, 4, "do not hold 3");
    check(begin, 16, 300, 4, "300 RAM blocks");
    check(begin, 20, 1, 4, "reserved");
    check(begin, 24 + 256, 1, 8, "used length 1");
    check(begin, 24 + 264 + 4, 'o', 1, "accepted");
    check(begin, 24 + 264 + 4, 'a', 1, "named twice");
    check(LoadDevices{5}, 16, 0, 8, "device state of 0");
    check(Armed{1}, 24, 1, 8, "reserved");
    check(Track{}, 16, 1, 4, "reserved");
    check(Track{}, 20, 1, 4, "reserved");
    check(Tracked{8}, 16, 12, 8, "bitmap of 12");
    check(Tracked{8}, 16, uint64_t{1} << 41, 8, "bitmap of");
    check(Sync{true}, 16, 2, 4, "unknown flags 0x2");
    check(Sync{true}, 20, 1, 4, "reserved");
    check(Synced{1, 5, 6}, 32, 4, 8, "ends before it begins");
}

TEST(ChannelMessages, EncodeRefusesWhatDoesNotFit) {
    EXPECT_FALSE(encode(description_of<Hello>(257)));
    auto long_name = description_of<Hello>();
    long_name.machine = std::string(64, 'm');
    EXPECT_FALSE(encode(long_name));
    EXPECT_FALSE(encode(LoadBegin{{{std::string(256, 'i'), 0}}}));
    EXPECT_FALSE(encode(LoadBegin{std::vector<LoadBlock>(257)}));
}

TEST(ChannelMessages, ErrorTextIsCutAndCleaned) {
    const auto text_of = [](const std::string& raw) {
        const auto bytes = std::as_bytes(std::span(raw));
        return std::get<ErrorMessage>(*decode_payload(MessageType::error, bytes)).text;
    };
    EXPECT_EQ(text_of("a\nb"), "a b");
    EXPECT_EQ(text_of(std::string("a\0b", 3)), "a b");
    EXPECT_EQ(text_of("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
    EXPECT_EQ(text_of("\xff\xc3"), "??");
    EXPECT_EQ(text_of("\xed\xa0\x80|\xc0\x80|\xf4\x90\x80\x80"), "???|??|????");
    const std::string umlauts = "a" + [] {
        std::string s;
        for (int i = 0; i < 3000; ++i)
            s += "\xc3\xbc";
        return s;
    }();
    const auto cut = std::get<ErrorMessage>(*decode(*encode(ErrorMessage{umlauts}))).text;
    EXPECT_EQ(cut, umlauts.substr(0, 4095));
    EXPECT_EQ(std::get<ErrorMessage>(*decode(*encode(ErrorMessage{}))).text, "no reason given");
}

// Whatever is decoded can be encoded again, and random changes never do more than be refused.
TEST(ChannelMessages, RandomChangesAreDecodedOrRefused) {
    std::mt19937 random(1);
    const auto all = one_of_each();
    for (int round = 0; round < 20000; ++round) {
        const Message& m = all[random() % all.size()];
        if (std::holds_alternative<Ready>(m) && round % 16 != 0) continue;
        Bytes frame = *encode(m);
        for (unsigned changes = 1 + random() % 4; changes-- > 0;)
            frame[random() % frame.size()] = static_cast<std::byte>(random());
        if (random() % 8 == 0) frame.resize(random() % (frame.size() + 1));
        if (const auto result = decode(frame)) {
            const auto again = encode(*result);
            ASSERT_TRUE(again);
            EXPECT_EQ(*decode(*again), *result);
        }
    }
}

} // namespace
} // namespace tlc
