# 32-bit code at CPL 3 with alignment checks and a misaligned stack. The handlers of #UD and #AC run at CPL 3 on that stack:
# pushing the frame of #AC raises #AC, for ever.
        .equ CODE0, 0x08
        .equ DATA0, 0x10
        .equ CODE3, 0x1b
        .equ DATA3, 0x23
        .equ CR0_PG, 1 << 31
        .equ CR0_AM, 1 << 18
        .equ FLAGS_AC, 1 << 18
        .equ GATE_DPL3, 0xee00

        .text
        .globl _start
        .type _start, @function
_start: lgdt    gdtr(%rip)
        pushq   $CODE0
        pushq   $legacy
        lretq
        .code32
legacy: movl    %cr0, %eax
        andl    $~CR0_PG, %eax
        movl    %eax, %cr0
        orl     $CR0_AM, %eax
        movl    %eax, %cr0
        movw    $DATA0, %ax
        movw    %ax, %ss
        movl    $stack, %esp
        lidt    idtr
        pushl   $DATA3
        pushl   $stack - 31
        pushl   $FLAGS_AC | 2
        pushl   $CODE3
        pushl   $user
        iretl
user:   ud2
        .size _start, . - _start

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
        .quad   0x00cffa000000ffff
        .quad   0x00cff2000000ffff
gdtr:   .word   . - gdt - 1
        .quad   gdt
        .balign 8
idt:    .rept   18
        .word   user - _start
        .word   CODE3
        .word   GATE_DPL3
        .word   0x10
        .endr
idtr:   .word   . - idt - 1
        .long   idt
        .bss
        .balign 16
        .skip   256
stack:
        .section .note.GNU-stack, "", @progbits
