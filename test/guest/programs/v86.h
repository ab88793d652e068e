/*
 * What programs about virtual-8086 mode share. Snippets of 16-bit code are copied to V86_CODE << 4 and entered by IRETD;
 * whatever exception or interrupt ends them is recorded. One that runs to its end raises #UD there. The program's own part
 * begins at main.
 */
#define WORD 4
#include "report.h"

#define CODE 0x08
#define DATA 0x10
#define USER_CODE 0x1b
#define USER_DATA 0x23
#define TSS 0x28
#define SPARE 0x30
#define TASK 0x38
#define CODE16 0x40

#define V86_CODE 0x700
#define V86_STACK 0x600
#define V86_DATA 0x900
#define V86_TOP 0x1000

#define AC_FAULT 17
#define GP 13
#define SS_FAULT 12
#define UD 6
#define BR 5
#define OF 4
#define BP 3
#define DB 1
#define DE 0

#define CF 1
#define TF 0x100
#define IF 0x200
#define IOPL 0x3000
#define NT 0x4000
#define RF 0x10000
#define VM 0x20000
#define AC 0x40000
#define VIF 0x80000
#define VIP 0x100000
#define ID 0x200000

#define LAPIC 0xfee00000

        .macro V86_BEGIN
        .pushsection .rodata
        .code16
8:
        .endm

        .macro V86_END
9:      ud2
        .code32
        .popsection
        mov     esi, offset 8b
        mov     ecx, offset 9b
        call    run_v86
        .endm

        .macro V86 code:vararg
        V86_BEGIN
        \code
        V86_END
        .endm

        /* In protected mode at CPL 0. */
        .macro CATCH code:vararg
        mov     dword ptr [x_vector], -1
        mov     dword ptr [x_resume], offset .Lafter\@
        mov     dword ptr [x_site], offset .Lsite\@
        mov     [x_resume_esp], esp
.Lsite\@:
        \code
.Lafter\@:
        mov     dword ptr [x_resume], 0
        .endm

        .macro GATE_IS vector, selector, offset, type
        mov     edi, offset \offset
        mov     [idt + \vector * 8], di
        mov     word ptr [idt + \vector * 8 + 2], \selector
        mov     word ptr [idt + \vector * 8 + 4], \type << 8
        shr     edi, 16
        mov     [idt + \vector * 8 + 6], di
        .endm

        /* It ran to its end. */
#define EXPECT_END EXPECT([x_vector], UD); mov edi, [v_end]; EXPECT([x_eip], edi)
        /* The first instruction faulted. */
#define EXPECT_FAULT(vector, error) EXPECT([x_vector], vector); EXPECT([x_error], error); EXPECT([x_eip], 0)
#define EXPECT_FAULT_AT(vector, error, eip) \
        EXPECT([x_vector], vector); EXPECT([x_error], error); EXPECT([x_eip], eip)
#define EXPECT_FLAGS(mask, value) mov edi, [x_flags]; and edi, mask; EXPECT_REG(edi, value)

        .bss
        .balign 16
idt:            .skip 2048
tss:            .skip 104
redirection:    .skip 32
io_map:         .skip 16
tss_end:
task_tss:       .skip 104
x_vector:       .skip 4
x_error:        .skip 4
x_eip:          .skip 4
x_cs:           .skip 4
x_flags:        .skip 4
x_esp:          .skip 4
x_ss:           .skip 4
x_es:           .skip 4
x_ds:           .skip 4
x_fs:           .skip 4
x_gs:           .skip 4
x_handler_esp:  .skip 4
x_handler_ds:   .skip 4
x_handler_gs:   .skip 4
x_handler_flags: .skip 4
x_site:         .skip 4
x_resume:       .skip 4
x_resume_esp:   .skip 4
x_eax:          .skip 4
v_end:          .skip 4
task_flags:     .skip 4
                .skip 8192
stack_end:      .skip 4096
esp0_end:       .skip 4096
task_stack_end:

        .data
        .balign 8
v_flags:        .long 2
v_esp:          .long V86_TOP
v_ss:           .long V86_STACK
v_ds:           .long V86_DATA
v_eip:          .long 0
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
tss_descriptor:
        .quad   0
spare:  .quad   0
task_descriptor:
        .quad   0
        .quad   0x00009b000000ffff
gdt_end:
gdtr:   .word   gdt_end - gdt - 1
        .long   gdt
idtr:   .word   2047
        .long   idt

#include "flat32.h"

        .text
        .code32
        .globl  start
start:
        LOAD_SEGMENTS
        GATES_TO_STUBS
        .irp    vector, 3, 4, 0x80, 0x81
        mov     byte ptr [idt + \vector * 8 + 5], 0xee
        .endr
        lidt    [idtr]
        mov     al, 0xff                /* nothing from the 8259s */
        out     0x21, al
        out     0xa1, al
        .macro TSS_IS slot, address, limit
        mov     eax, offset \address
        mov     word ptr [\slot], \limit
        mov     [\slot + 2], ax
        shr     eax, 16
        mov     [\slot + 4], al
        mov     byte ptr [\slot + 5], 0x89
        mov     [\slot + 7], ah
        .endm
        TSS_IS  tss_descriptor, tss, 136 + 15
        TSS_IS  task_descriptor, task_tss, 103
        mov     dword ptr [tss + 4], offset esp0_end
        mov     dword ptr [tss + 8], DATA
        mov     word ptr [tss + 102], 136
        mov     eax, TSS
        ltr     ax
        call    main
        END_TESTS

/* Copies the snippet from ESI to ECX and its #UD, and runs it. */
run_v86:
        mov     edi, V86_CODE << 4
        sub     ecx, esi
        mov     [v_end], ecx
        add     ecx, 2
        cld
        rep movsb
        mov     dword ptr [x_resume], offset 1f
        mov     [x_resume_esp], esp
        push    V86_DATA + 3            /* GS, FS, DS, ES */
        push    V86_DATA + 2
        push    dword ptr [v_ds]
        push    V86_DATA + 1
        push    dword ptr [v_ss]
        push    dword ptr [v_esp]
        mov     edi, [v_flags]
        or      edi, VM
        push    edi
        push    V86_CODE
        push    dword ptr [v_eip]
        iretd
1:      mov     dword ptr [x_resume], 0
        ret

        STUBS

common_stub:
        push    eax
        push    ds
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        pop     dword ptr [x_handler_ds]
        pop     dword ptr [x_eax]
        mov     [x_handler_gs], gs
        pushfd
        pop     dword ptr [x_handler_flags]
        mov     [x_handler_esp], esp
        .irp    field, vector, error, eip, cs, flags, esp, ss, es, ds, fs, gs
        pop     dword ptr [x_\field]
        .endr
        mov     fs, eax
        mov     gs, eax
        mov     ss, eax
        mov     esp, [x_resume_esp]
        push    2
        popfd
        mov     eax, [x_eax]
        jmp     [x_resume]
