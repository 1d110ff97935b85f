# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest of one boot sector for tests of checkpoints. It switches to protected
# mode and then, for ever, adds one to the first word of every 4 KiB page from
# 1 MiB to 65 MiB; after each pass it writes one byte to the debug console
# (I/O port 0xe9). Any two of these words differ by at most one, and a word
# never goes back: a mix of two moments of memory shows at once.
#
#   as --32 -o counter_guest.o counter_guest.S
#   ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o counter_guest.bin counter_guest.o
#   truncate -s 1M counter_guest.bin
#   qemu-system-x86_64 -m 128 -drive file=counter_guest.bin,format=raw,if=virtio \
#       -debugcon file:passes

        .set    FIRST, 0x00100000
        .set    END, 0x04100000

        .code16
        .globl  _start
_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        inb     $0x92, %al              # open the A20 gate
        orb     $2, %al
        andb    $0xfe, %al
        outb    %al, $0x92
        lgdtl   gdt_pointer
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $protected

        .code32
protected:
        movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
pass:
        movl    $FIRST, %edi
page:
        incl    (%edi)
        addl    $4096, %edi
        cmpl    $END, %edi
        jb      page
        movb    $'.', %al
        outb    %al, $0xe9
        jmp     pass

        .balign 8
gdt:
        .quad   0
        .quad   0x00cf9a000000ffff      # code: 4 GiB from 0
        .quad   0x00cf92000000ffff      # data: 4 GiB from 0
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   gdt

        .org    510
        .word   0xaa55
