# Runs for ever.
        .text
        .globl _start
        .type _start, @function
_start: xor %eax, %eax
again:  inc %rax
        jmp again
        .size _start, . - _start
        .section .note.GNU-stack, "", @progbits
