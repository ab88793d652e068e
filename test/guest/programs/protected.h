/*
 * A 32-bit kernel for tests, in protected mode without paging. Exceptions and interrupts are recorded (x_vector, x_error, …);
 * then the program goes on at [x_resume] at CPL 0, or where it was when that is 0.
 */
#define WORD 4
#include "report.h"

#define CODE 0x08
#define DATA 0x10
#define USER_CODE 0x1b
#define USER_DATA 0x23
#define TSS 0x28
/* The tests' own descriptors. */
#define SPARE 0x30
#define SPARE2 0x38
#define SPARE3 0x40
/* Three and more follow. */

#define DF 8
#define TS_FAULT 10
#define NP 11
#define SS_FAULT 12
#define GP 13
#define UD 6
#define BP 3
#define BR 5
#define NONE -1

        .macro CATCH code:vararg
        mov     dword ptr [x_vector], NONE
        mov     dword ptr [x_resume], offset .Lafter\@
        mov     dword ptr [x_site], offset .Lsite\@
        mov     [x_resume_esp], esp
.Lsite\@:
        \code
.Lafter\@:
        mov     dword ptr [x_resume], 0
        .endm

        .macro CATCH_USER code:vararg
        mov     dword ptr [x_vector], NONE
        mov     dword ptr [x_resume], offset .Lafter\@
        mov     dword ptr [x_site], offset .Lsite\@
        mov     [x_resume_esp], esp
        push    USER_DATA
        push    offset user_stack_end
        push    2
        push    USER_CODE
        push    offset .Lsite\@
        push    USER_DATA
        pop     ds
        iretd
.Lsite\@:
        \code
        int     0x80
.Lafter\@:
        mov     dword ptr [x_resume], 0
        .endm

        /* The spare descriptor: base 0x200000 unless told, limit, access byte, flags (G and D/B in bits 7 and 6). */
        .macro SPARE_IS limit, access, flags, slot=spare
        mov     dword ptr [\slot], (\limit & 0xffff)
        mov     dword ptr [\slot + 4], 0x20 + (\access << 8) + (\limit & 0xf0000) + (\flags << 16)
        .endm

#define EXPECT_NONE EXPECT([x_vector], NONE)
#define EXPECT_FAULT(vector, error) \
        EXPECT([x_vector], vector); EXPECT([x_error], error); mov eax, [x_site]; EXPECT([x_eip], eax)

        .bss
        .balign 16
idt:            .skip 2048
tss:            .skip 104
x_vector:       .skip 4
x_error:        .skip 4
x_eip:          .skip 4
x_cs:           .skip 4
x_flags:        .skip 4
x_esp:          .skip 4
x_ss:           .skip 4
x_site:         .skip 4
x_resume:       .skip 4
x_resume_esp:   .skip 4
x_eax:          .skip 4
x_handler_esp:  .skip 4
                .skip 8192
stack_end:      .skip 4096
user_stack_end: .skip 4096
esp0_end:

        .data
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
tss_descriptor:
        .quad   0
spare:  .quad   0
spare2: .quad   0
spare3: .quad   0, 0, 0, 0, 0, 0
gdt_end:
gdtr:   .word   gdt_end - gdt - 1
        .long   gdt
idtr:   .word   2047
        .long   idt
far_pointer:
        .long   0
        .word   SPARE
bounds: .long   10, 20

#include "flat32.h"

        .text
        .code32
        .globl  start
start:
        LOAD_SEGMENTS
        GATES_TO_STUBS
        mov     byte ptr [idt + 0x80 * 8 + 5], 0xee
        lidt    [idtr]
        mov     dword ptr [tss + 4], offset esp0_end
        mov     dword ptr [tss + 8], DATA
        mov     word ptr [tss + 102], 104
        mov     eax, offset tss
        mov     word ptr [tss_descriptor], 103
        mov     [tss_descriptor + 2], ax
        shr     eax, 16
        mov     [tss_descriptor + 4], al
        mov     byte ptr [tss_descriptor + 5], 0x89
        mov     [tss_descriptor + 7], ah
        mov     eax, TSS
        ltr     ax
        call    main
        END_TESTS

        STUBS

common_stub:
        push    eax
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        pop     dword ptr [x_eax]
        mov     [x_handler_esp], esp
        .irp    field, vector, error, eip, cs, flags, esp, ss
        pop     dword ptr [x_\field]
        .endr
        mov     esp, [x_handler_esp]
        cmp     dword ptr [x_resume], 0
        je      1f
        mov     ss, eax
        mov     esp, [x_resume_esp]
        push    2
        popfd
        mov     eax, [x_eax]
        jmp     [x_resume]
1:      mov     eax, [x_eax]
        add     esp, 8
        iretd
