#ifdef __x86_64__
#define SP %rsp
#define A %rdi
#define B %rsi
#define R %rax
#else
#define SP %esp
#define A %edi
#define B %esi
#define R %eax
#endif

    .macro bump register
    add $1, \register
    sub $1, \register
    .endm

    .text
    .globl _start
    .type _start, @function
_start:
    .cfi_startproc
    .cfi_undefined 16 - 8 * IS32
    mov $stack_top, SP
    call kmain
hang:
    hlt
    jmp hang
    .cfi_endproc
    .size _start, . - _start

    .globl asm_add
    .type asm_add, @function
asm_add:
    .cfi_startproc
    bump A
    mov A, R

    bump B
    add B, R
    ret
    .cfi_endproc
    .size asm_add, . - asm_add

label_without_type:
    nop
    ret

    .bss
    .balign 16
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
