# An invalid opcode with an IDT that holds nothing: the processor shuts down.
        .text
        .globl _start
        .type _start, @function
_start: lidt empty(%rip)
        ud2
        .size _start, . - _start
        .section .rodata
empty:  .word 0
        .quad 0
        .section .note.GNU-stack, "", @progbits
