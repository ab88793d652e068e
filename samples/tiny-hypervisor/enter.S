# Into the guest and back. The processor saves and loads RIP, RSP and RFLAGS; the other general registers are ours.
#
# int enter_guest(struct registers *guest, bool launched)
#   0 after a VM exit, 1 for VMfailInvalid, 2 for VMfailValid

#define HOST_RSP 0x6c14

        .cfi_sections .debug_frame # where debuggers read what is on the stack

        .text
        .globl enter_guest
        .type enter_guest, @function
enter_guest:
        .cfi_startproc
        push %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov %rsp, %rbp
        push %rbx
        push %r12
        push %r13
        push %r14
        push %r15
        push %rdi               # for vm_exit
        .cfi_def_cfa_offset 64
        mov $HOST_RSP, %eax
        vmwrite %rsp, %rax

        test %sil, %sil         # MOV leaves the flags alone
        mov 0(%rdi), %rax
        mov 8(%rdi), %rcx
        mov 16(%rdi), %rdx
        mov 24(%rdi), %rbx
        mov 32(%rdi), %rbp
        mov 40(%rdi), %rsi
        mov 56(%rdi), %r8
        mov 64(%rdi), %r9
        mov 72(%rdi), %r10
        mov 80(%rdi), %r11
        mov 88(%rdi), %r12
        mov 96(%rdi), %r13
        mov 104(%rdi), %r14
        mov 112(%rdi), %r15
        mov 48(%rdi), %rdi
        jnz 1f
        vmlaunch
        jmp 2f
1:      vmresume

2:      # Only an entry that failed before it began comes here: CF is VMfailInvalid, ZF is VMfailValid.
        mov $1, %eax
        mov $2, %ecx
        cmovz %ecx, %eax
        add $8, %rsp
        .cfi_def_cfa_offset 56
        jmp 3f
        .cfi_endproc
        .size enter_guest, . - enter_guest

        # HOST_RIP: the VM exit, with RSP as it was at the VMWRITE above.
        .globl vm_exit
        .type vm_exit, @function
vm_exit:
        .cfi_startproc
        .cfi_def_cfa_offset 64
        .cfi_offset %rbp, -16
        xchg %rdi, (%rsp)
        mov %rax, 0(%rdi)
        mov %rcx, 8(%rdi)
        mov %rdx, 16(%rdi)
        mov %rbx, 24(%rdi)
        mov %rbp, 32(%rdi)
        mov %rsi, 40(%rdi)
        mov %r8, 56(%rdi)
        mov %r9, 64(%rdi)
        mov %r10, 72(%rdi)
        mov %r11, 80(%rdi)
        mov %r12, 88(%rdi)
        mov %r13, 96(%rdi)
        mov %r14, 104(%rdi)
        mov %r15, 112(%rdi)
        pop %rax
        .cfi_def_cfa_offset 56
        mov %rax, 48(%rdi)
        xor %eax, %eax

3:      pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbx
        pop %rbp
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        .size vm_exit, . - vm_exit

        .section .note.GNU-stack, "", @progbits
