# A routine without frame pointer: unwinding it needs the call-frame information.
        .text
        .globl tick
        .type tick, @function
tick:
        .cfi_startproc
        push %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        mov $0x1234, %ebx
        incq counter(%rip)
        pop %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        ret
        .cfi_endproc
        .size tick, . - tick
        .section .note.GNU-stack, "", @progbits
