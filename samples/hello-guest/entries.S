# The entry of every exception and interrupt: make one frame of them all (struct interrupt_frame) and call C.
#
# The .cfi lines tell a debugger where the registers of the interrupted code are, so that it shows the frames below.

        .cfi_sections .debug_frame
        .altmacro

        .text

# The code that was interrupted: the processor pushed SS, RSP, RFLAGS, CS and RIP.
.macro cfi_interrupted pushed
        .cfi_startproc simple
        .cfi_signal_frame
        .cfi_def_cfa rsp, 40 + \pushed
        .cfi_offset rsp, -16
        .cfi_offset rip, -40
.endm

.macro push_register register
        pushq %\register
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \register, 0
.endm

.macro pop_register register
        popq %\register
        .cfi_adjust_cfa_offset -8
        .cfi_restore \register
.endm

# The processor pushes an error code for some exceptions; the others get a 0 in its place.
.macro entry vector
        .if (\vector == 8) || ((\vector >= 10) && (\vector <= 14)) || (\vector == 17) || (\vector == 21)
entry_\vector:
        cfi_interrupted 8
        .else
entry_\vector:
        cfi_interrupted 0
        pushq $0
        .cfi_adjust_cfa_offset 8
        .endif
        pushq $\vector
        .cfi_adjust_cfa_offset 8
        jmp common_entry
        .cfi_endproc
.endm

        .set number, 0
        .rept 48
        entry %number
        .set number, number + 1
        .endr

        .type common_entry, @function
common_entry:
        cfi_interrupted 16
        push_register rax
        push_register rbx
        push_register rcx
        push_register rdx
        push_register rsi
        push_register rdi
        push_register rbp
        push_register r8
        push_register r9
        push_register r10
        push_register r11
        push_register r12
        push_register r13
        push_register r14
        push_register r15
        cld
        movq %rsp, %rdi
        call interrupt_dispatch
        pop_register r15
        pop_register r14
        pop_register r13
        pop_register r12
        pop_register r11
        pop_register r10
        pop_register r9
        pop_register r8
        pop_register rbp
        pop_register rdi
        pop_register rsi
        pop_register rdx
        pop_register rcx
        pop_register rbx
        pop_register rax
        addq $16, %rsp          # the vector and the error code
        .cfi_adjust_cfa_offset -16
        iretq
        .cfi_endproc
        .size common_entry, . - common_entry

        .section .rodata
        .balign 8
        .globl interrupt_entries
interrupt_entries:
.macro entry_address vector
        .quad entry_\vector
.endm
        .set number, 0
        .rept 48
        entry_address %number
        .set number, number + 1
        .endr

        .section .note.GNU-stack, "", @progbits
