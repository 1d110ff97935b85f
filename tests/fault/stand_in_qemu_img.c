// SPDX-License-Identifier: GPL-2.0-or-later
// qemu-img create -q -u -f qcow2 -o OPTIONS -F FORMAT -b BELOW FILE SIZE, and nothing else: writes the header
// that tlc/disk/image_files.cpp reads. The real one takes too long for thousands of lives.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(unsigned char* at, int bytes, unsigned long long value) {
    for (int i = bytes - 1; i >= 0; --i, value >>= 8)
        at[i] = (unsigned char)value;
}

int main(int argc, char** argv) {
    if (argc != 14 || strcmp(argv[1], "create") != 0 || strcmp(argv[10], "-b") != 0) return 2;
    unsigned char header[512] = "QFI\xfb";
    const size_t length = strlen(argv[11]);
    if (length > 300) return 2;
    put(header + 8, 8, 104);
    put(header + 16, 4, length);
    put(header + 24, 8, strtoull(argv[13], NULL, 10));
    memcpy(header + 104, argv[11], length);
    const int fd = open(argv[12], O_WRONLY | O_CREAT | O_EXCL, 0600);
    return fd >= 0 && write(fd, header, sizeof header) == (ssize_t)sizeof header ? 0 : 1;
}
