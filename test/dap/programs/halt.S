# Halts for good.
        .text
        .globl _start
        .type _start, @function
_start: cli
        hlt
        .size _start, . - _start
        .section .note.GNU-stack, "", @progbits
