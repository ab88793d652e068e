# Instructions that leave for the hypervisor, one a line.
        .text
        .globl _start
        .type _start, @function
_start: xor %eax, %eax
        cpuid
        mov $65, %al
        mov $0x3f8, %edx
        out %al, %dx
        movabs 0xfee00030, %eax
        mov $0xc0000080, %ecx
        rdmsr
        nop
        mov $1, %al
        out %al, $0xf4
        .size _start, . - _start
        .section .note.GNU-stack, "", @progbits
