# Changes the page of an address that is in use and goes on using it without INVLPG, in a loop that is hot.
        .set FAR, 100 << 30
        .set LOOPS, 300000

        .text
        .globl _start
        .type _start, @function
_start: mov %cr3, %rax
        and $~0xfff, %rax
        mov (%rax), %rbx                # PML4E of the first 512 GiB
        and $~0xfff, %rbx
        lea directory(%rip), %rdi
        movq $0x83, (%rdi)              # 2 MiB from 0 on
        lea 3(%rdi), %rax
        mov %rax, 8 * 100(%rbx)
        movabs $FAR, %rsi
        call use
        movq $0x200083, (%rdi)
        invlpg (%rsi)
        call use                        # as the manual wants it
        movq $0x400083, (%rdi)
        call use
        xor %eax, %eax
        out %al, $0xf4
use:    mov $LOOPS, %ecx
again:  mov (%rsi), %rdx
        dec %ecx
        jnz again
        ret
        .size _start, . - _start

        .bss
        .align 4096
directory: .skip 4096
        .section .note.GNU-stack, "", @progbits
