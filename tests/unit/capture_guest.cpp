// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture_guest.hpp"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <stdexcept>
#include <thread>
#include <unistd.h>

namespace tlc::test {

namespace {

constexpr uint64_t wp_unpopulated = uint64_t{1} << 13; // UFFD_FEATURE_WP_UNPOPULATED
constexpr unsigned most_writers = 8;

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "test guest: %s: %s\n", what, std::strerror(errno));
    ::_exit(3);
}

Fd make_userfaultfd(HoleMode holes, uint64_t& features) {
    Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC)));
    if (!fd) return fd;
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
                   (holes == HoleMode::marks ? wp_unpopulated : 0);
    if (::ioctl(fd.get(), UFFDIO_API, &api) < 0) fd.reset();
    features = api.features;
    return fd;
}

std::byte* shared_memory(size_t bytes) {
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::runtime_error("mmap");
    return static_cast<std::byte*>(p);
}

// A page-granular guest memory block in the child.
std::byte* guest_memory(BlockKind kind, size_t bytes) {
    int fd = -1;
    if (kind == BlockKind::shared) {
        fd = ::memfd_create("guest", MFD_CLOEXEC);
        require(fd >= 0 && ::ftruncate(fd, static_cast<off_t>(bytes)) == 0, "memfd");
    }
    const int flags = kind == BlockKind::shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    require(p != MAP_FAILED, "mmap");
    ::madvise(p, bytes, kind == BlockKind::huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    if (fd >= 0) ::close(fd);
    return static_cast<std::byte*>(p);
}

void send_byte(int socket, char c, int descriptor) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&c, 1};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (descriptor >= 0) {
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
    }
    if (::sendmsg(socket, &header, MSG_NOSIGNAL) != 1) std::perror("test guest: sendmsg");
}

Fd receive_byte(int socket, char& c) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&c, 1};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    c = 0;
    if (::recvmsg(socket, &header, MSG_CMSG_CLOEXEC) != 1) return {};
    const cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (rights == nullptr) return {};
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    return Fd(fd);
}

} // namespace

struct TestGuest::Control {
    uint64_t address[16] = {};
    std::atomic<uint64_t> writes[most_writers] = {};
    std::atomic<uint64_t> dirtied = 0;
};

std::string unsupported(HoleMode holes) {
    uint64_t features = 0;
    if (!make_userfaultfd(holes, features))
        return std::string("userfaultfd with write protection is not available here: ") +
               std::strerror(errno);
    return "";
}

TestGuest::TestGuest(const GuestSpec& spec) : spec_(spec) {
    control_ = new (shared_memory(sizeof(Control))) Control;
    for (const auto& b : spec.blocks)
        references_.push_back(shared_memory(b.pages * guest_page));
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        throw std::runtime_error("socketpair");
    socket_.reset(pair[0]);
    const Fd other(pair[1]);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
        socket_.reset(::dup(other.get()));
        ::close(pair[1]);
        child();
    }
    char ready = 0;
    receive_byte(socket_.get(), ready);
    if (ready != 'B') throw std::runtime_error("the test guest did not start");
}

TestGuest::~TestGuest() {
    kill();
    for (size_t i = 0; i < references_.size(); ++i)
        ::munmap(references_[i], spec_.blocks[i].pages * guest_page);
    ::munmap(control_, sizeof(Control));
}

void TestGuest::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

bool TestGuest::finish() {
    send_byte(socket_.get(), 'Q', -1);
    int status = -1;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return status == 0;
}

std::vector<GuestBlock> TestGuest::blocks() const {
    std::vector<GuestBlock> out;
    for (size_t i = 0; i < spec_.blocks.size(); ++i) {
        const auto& b = spec_.blocks[i];
        const bool missing = spec_.holes == HoleMode::missing && b.kind < BlockKind::shared;
        out.push_back({"block" + std::to_string(i), control_->address[i], b.pages * guest_page, guest_page,
                       b.kind != BlockKind::rom, missing});
    }
    return out;
}

Fd TestGuest::arm() {
    send_byte(socket_.get(), 'A', -1);
    char answer = 0;
    return receive_byte(socket_.get(), answer);
}

bool TestGuest::pause() {
    send_byte(socket_.get(), 'P', -1);
    char answer = 0;
    receive_byte(socket_.get(), answer);
    return answer == 'H';
}

Fd TestGuest::track() {
    send_byte(socket_.get(), 'L', -1);
    char answer = 0;
    return receive_byte(socket_.get(), answer);
}

bool TestGuest::sync(bool hold) {
    send_byte(socket_.get(), hold ? 'T' : 'S', -1);
    char answer = 0;
    receive_byte(socket_.get(), answer);
    return answer == 'D';
}

uint64_t TestGuest::dirtied() const { return control_->dirtied; }

void TestGuest::resume() { send_byte(socket_.get(), 'R', -1); }

uint64_t TestGuest::writes() const {
    uint64_t sum = 0;
    for (const auto& w : control_->writes)
        sum += w;
    return sum;
}

bool TestGuest::goes_on() const {
    for (unsigned w = 0; w < spec_.writers; ++w) {
        const uint64_t before = control_->writes[w];
        for (int i = 0; control_->writes[w] < before + 100; ++i) {
            if (i == 10000) return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    return true;
}

// The process itself. Page p of a block belongs to writer p % writers, so writers do not race with each
// other.
void TestGuest::child() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_PTRACER, ::getppid());
    std::vector<std::byte*> memory;
    std::mt19937 random(spec_.seed);
    for (size_t i = 0; i < spec_.blocks.size(); ++i) {
        const auto& b = spec_.blocks[i];
        memory.push_back(guest_memory(b.kind, b.pages * guest_page));
        control_->address[i] = reinterpret_cast<uintptr_t>(memory[i]);
        // In huge pages one touched page fills the stretch: holes are whole stretches there.
        bool hole = false;
        for (uint64_t p = 0; p < b.pages; ++p) {
            if (b.kind != BlockKind::huge || (control_->address[i] / guest_page + p) % 512 == 0 || p == 0)
                hole = random() % 100 < spec_.hole_percent;
            if (!hole) std::memset(memory[i] + p * guest_page, static_cast<int>(random()), guest_page);
        }
    }
    std::atomic<bool> hold{false};
    std::atomic<bool> end{false};
    std::atomic<unsigned> held{0};
    std::vector<uint64_t> first{0}; // word of each block in the log, and the end
    for (const auto& b : spec_.blocks)
        first.push_back(first.back() + (b.pages + 63) / 64);
    std::vector<std::atomic<uint64_t>> log(first.back());
    std::atomic<bool> logging{false};
    uint64_t* bitmap = nullptr;
    const auto write = [&](unsigned self) {
        std::mt19937 dice(spec_.seed * 31 + self);
        while (!end) {
            if (hold) {
                ++held;
                while (hold && !end)
                    std::this_thread::sleep_for(std::chrono::microseconds(50));
                --held;
            }
            const size_t i = dice() % spec_.blocks.size();
            const auto& b = spec_.blocks[i];
            const uint64_t page = dice() % b.pages / spec_.writers * spec_.writers + self;
            if (b.kind != BlockKind::rom && page < b.pages) {
                std::byte* at = memory[i] + page * guest_page + dice() % (guest_page - 64);
                const auto how = dice() % 32;
                if (how == 0) // a fault taken inside the kernel
                    require(::getrandom(at, 32, 0) == 32, "getrandom");
                else if (how == 1) // a read
                    dice.discard(std::to_integer<unsigned>(*static_cast<volatile std::byte*>(at)) % 2);
                else
                    std::memset(at, static_cast<int>(dice()), 64);
                // After the write: a log taken in between must not lose it.
                if (logging && how != 1) log[first[i] + page / 64].fetch_or(uint64_t{1} << page % 64);
            }
            if (++control_->writes[self] % 32 == 0)
                std::this_thread::sleep_for(std::chrono::microseconds(20));
        }
    };
    std::vector<std::thread> threads;
    for (unsigned w = 0; w < spec_.writers; ++w)
        threads.emplace_back(write, w);
    send_byte(socket_.get(), 'B', -1);

    const auto arm = [&] {
        uint64_t features = 0;
        const Fd fd = make_userfaultfd(spec_.holes, features);
        require(fd.valid(), "userfaultfd");
        for (size_t i = 0; i < memory.size(); ++i) {
            const auto& b = spec_.blocks[i];
            if (b.kind == BlockKind::rom) continue;
            uffdio_register area{};
            area.range = {reinterpret_cast<uintptr_t>(memory[i]), b.pages * guest_page};
            area.mode = UFFDIO_REGISTER_MODE_WP;
            if (b.kind != BlockKind::shared && spec_.holes == HoleMode::missing)
                area.mode |= UFFDIO_REGISTER_MODE_MISSING;
            require(::ioctl(fd.get(), UFFDIO_REGISTER, &area) == 0, "register");
        }
        send_byte(socket_.get(), 'U', fd.get());
    };
    const auto track = [&] {
        const Fd shared(::memfd_create("log", MFD_CLOEXEC));
        const size_t bytes = log.size() * sizeof(uint64_t);
        require(shared.valid() && ::ftruncate(shared.get(), static_cast<off_t>(bytes)) == 0, "log");
        bitmap = static_cast<uint64_t*>(
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared.get(), 0));
        require(bitmap != MAP_FAILED, "log");
        logging = true;
        send_byte(socket_.get(), 'L', shared.get());
    };
    const auto stop_writers = [&] {
        hold = true;
        while (held < spec_.writers)
            std::this_thread::yield();
    };
    const auto sync = [&] {
        for (size_t i = 0; bitmap != nullptr && i < log.size(); ++i) {
            const uint64_t bits = log[i].exchange(0);
            if (bits == 0) continue;
            std::atomic_ref<uint64_t>(bitmap[i]).fetch_or(bits);
            control_->dirtied += static_cast<unsigned>(std::popcount(bits));
        }
    };
    const auto pause = [&] {
        stop_writers();
        sync();
        const Fd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
        require(pagemap.valid(), "pagemap");
        for (size_t i = 0; i < memory.size(); ++i) {
            const auto& b = spec_.blocks[i];
            for (uint64_t p = 0; p < b.pages; ++p) { // a look at a hole would fill it
                uint64_t entry = 1;
                const auto address = reinterpret_cast<uintptr_t>(memory[i]) / guest_page + p;
                if (b.kind != BlockKind::shared)
                    require(::pread(pagemap.get(), &entry, 8, static_cast<off_t>(address * 8)) == 8,
                            "pagemap");
                if (entry != 0)
                    std::memcpy(references_[i] + p * guest_page, memory[i] + p * guest_page, guest_page);
            }
        }
        send_byte(socket_.get(), 'H', -1);
    };
    for (char command = 0;;) {
        receive_byte(socket_.get(), command);
        if (command == 'A') arm();
        if (command == 'P') pause();
        if (command == 'L') track();
        if (command == 'T') stop_writers();
        if (command == 'S' || command == 'T') {
            sync();
            send_byte(socket_.get(), 'D', -1);
        }
        if (command == 'R') {
            hold = false;
            while (held > 0) // or the next hold would count a writer that is on its way
                std::this_thread::yield();
        }
        if (command == 'Q' || command == 0) break;
    }
    end = true;
    for (std::thread& t : threads)
        t.join();
    ::_exit(0);
}

} // namespace tlc::test
