/*
 * A 64-bit kernel for tests. Memory below 1 GiB is mapped to itself for the supervisor, and again from USER on for user
 * mode; TEST_AREA is a GiB whose first tables are the program's to fill in. Every exception and interrupt is recorded
 * (x_vector, x_error, …); then [x_hook] is called if there is one, with RCX pointing at the frame (FRAME_…); then the
 * program goes on at [x_resume] at CPL 0, or where it was when that is 0 or when the hook gave 1 in EAX. With LA57 defined,
 * paging has five levels.
 */
#include "report.h"

#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18
#define USER_DATA 0x23
#define USER_CODE 0x2b
#define TSS 0x30
#define CODE16 0x40
#define DATA16 0x48
/* For the tests' own descriptors. */
#define SPARE 0x50

#define TEST_AREA 0x40000000
#define USER 0x80000000

#define P 1
#define W 2
#define U 4
#define A 0x20
#define D 0x40
#define LARGE 0x80
#define NX_HIGH 0x80000000

#define PF 14
#define GP 13
#define SS_FAULT 12
#define NP 11
#define TS_FAULT 10
#define DF 8
#define NM 7
#define UD 6
#define BP 3
#define DB 1
#define DE 0
#define NONE -1

#define TF 0x100
#define IF 0x200
#define RF 0x10000
#define AC 0x40000

#define FRAME_VECTOR 0
#define FRAME_ERROR 8
#define FRAME_RIP 16
#define FRAME_CS 24
#define FRAME_FLAGS 32
#define FRAME_RSP 40
#define FRAME_SS 48

#define LAPIC 0xfee00000
#define EOI LAPIC + 0xb0

        /* Executes `code`; afterwards x_vector says what it raised, or is NONE. Clobbers nothing but flags of `code`. */
        .macro CATCH code:vararg
        mov     qword ptr [x_vector], NONE
        mov     qword ptr [x_resume], offset .Lafter\@
        mov     qword ptr [x_site], offset .Lsite\@
        mov     [x_resume_rsp], rsp
.Lsite\@:
        \code
.Lafter\@:
        mov     qword ptr [x_resume], 0
        .endm

        /* The same at CPL 3: code and stack are in the user's copy of memory. */
        .macro CATCH_USER code:vararg
        ENTER_USER
        \code
        LEAVE_USER
        .endm

        /* More than one instruction. Numeric label 9 is taken. */
        .macro ENTER_USER
        mov     qword ptr [x_vector], NONE
        mov     qword ptr [x_resume], offset 9f
        mov     qword ptr [x_site], offset .Lsite\@
        add     dword ptr [x_site], USER
        mov     [x_resume_rsp], rsp
        push    USER_DATA
        push    qword ptr [user_stack_pointer]
        push    qword ptr [user_flags]
        push    USER_CODE
        push    qword ptr [x_site]
        iretq
.Lsite\@:
        .endm

        .macro LEAVE_USER
        int     0x80
9:
        mov     qword ptr [x_resume], 0
        .endm

#define EXPECT_NONE EXPECT([x_vector], NONE)
        /* A fault: the saved RIP is the instruction's. */
#define EXPECT_FAULT(vector, error) EXPECT([x_vector], vector); EXPECT([x_error], error); EXPECT([x_rip], [x_site])
#define EXPECT_PF(error, address) EXPECT_FAULT(PF, error); mov eax, address; EXPECT([x_cr2], rax)
        /* User code has ended by itself. */
#define EXPECT_RETURN EXPECT([x_vector], 0x80)

        .bss
        .balign 4096
pml4:           .skip 4096
#ifdef LA57
pml5:           .skip 4096
#endif
pdpt:           .skip 4096
low_pages:      .skip 4096
user_pages:     .skip 4096
device_pages:   .skip 4096
test_pd:        .skip 4096
test_pt:        .skip 4096
page_a:         .skip 4096
page_b:         .skip 4096
idt:            .skip 4096
stack:          .skip 16384
stack_end:
                .skip 4096
user_stack_end:
                .skip 4096
ist1_end:
                .skip 4096
ist2_end:
                .skip 4096
rsp0_end:
tss:            .skip 104
                .balign 8
x_vector:       .skip 8
x_error:        .skip 8
x_cr2:          .skip 8
x_rip:          .skip 8
x_cs:           .skip 8
x_flags:        .skip 8
x_rsp:          .skip 8
x_ss:           .skip 8
x_frame:        .skip 8
x_count:        .skip 8
x_site:         .skip 8
x_hook:         .skip 8
x_resume:       .skip 8
x_resume_rsp:   .skip 8
x_rax:          .skip 8
x_rcx:          .skip 8

        .data
        .balign 8
user_flags:             .quad 2
user_stack_pointer:     .quad user_stack_end + USER
gdt:
        .quad   0
        .quad   0x00af9b000000ffff
        .quad   0x00cf93000000ffff
        .quad   0x00cf9b000000ffff
        .quad   0x00cff3000000ffff
        .quad   0x00affb000000ffff
tss_descriptor:
        .quad   0, 0
        .quad   0x00009b000000ffff
        .quad   0x000093000000ffff
spare:  .quad   0, 0
gdt_end:
gdtr:   .word   gdt_end - gdt - 1
        .quad   gdt
idtr:   .word   4095
        .quad   idt

        .text
        .code32
        .globl  start
start:
        cli
        mov     esp, offset stack_end
        mov     dword ptr [pml4], offset pdpt + P + W + U
        mov     dword ptr [pdpt], offset low_pages + P + W + U
        mov     dword ptr [pdpt + 8], offset test_pd + P + W + U
        mov     dword ptr [pdpt + 16], offset user_pages + P + W + U
        mov     dword ptr [pdpt + 24], offset device_pages + P + W
        mov     dword ptr [test_pd], offset test_pt + P + W + U
        xor     ecx, ecx
1:      mov     eax, ecx
        shl     eax, 21
        or      eax, P + W + LARGE
        mov     [low_pages + ecx * 8], eax
        or      eax, U
        mov     [user_pages + ecx * 8], eax
        and     eax, ~U
        or      eax, 0xc0000018
        mov     [device_pages + ecx * 8], eax
        inc     ecx
        cmp     ecx, 512
        jne     1b
#ifdef LA57
        mov     dword ptr [pml5], offset pml4 + P + W + U
        mov     eax, 0x1020             /* LA57 and PAE */
        mov     cr4, eax
        mov     eax, offset pml5
#else
        mov     eax, 0x20
        mov     cr4, eax
        mov     eax, offset pml4
#endif
        mov     cr3, eax
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 0x901              /* LME, NXE and SCE */
        wrmsr
        mov     eax, 0x80010033         /* PG, WP, NE, ET, MP and PE */
        mov     cr0, eax
        lgdt    [gdtr]
        .att_syntax
        ljmp    $CODE64, $start64
        .intel_syntax noprefix

        .code64
start64:
        mov     eax, DATA
        mov     ss, eax
        mov     ds, eax
        mov     es, eax
        xor     eax, eax
        mov     fs, eax
        mov     gs, eax
        xor     ecx, ecx
        mov     esi, offset stubs
1:      mov     rdi, rcx
        shl     rdi, 4
        mov     rax, rsi
        and     eax, 0xffff
        or      eax, CODE64 << 16
        mov     [idt + rdi], eax
        mov     rax, rsi
        mov     ax, 0x8e00
        mov     [idt + rdi + 4], eax
        add     rsi, 16
        inc     ecx
        cmp     ecx, 256
        jne     1b
        mov     byte ptr [idt + 0x80 * 16 + 5], 0xee
        lidt    [idtr]
        mov     qword ptr [tss + 4], offset rsp0_end
        mov     qword ptr [tss + 36], offset ist1_end
        mov     qword ptr [tss + 44], offset ist2_end
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

        .balign 16
stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        push    0
        .endif
        push    vector
        jmp     common_stub
        .set    vector, vector + 1
        .endr

common_stub:
        mov     [x_rax], rax
        mov     [x_rcx], rcx
        mov     rcx, rsp
        .irp    field, vector, error, rip, cs, flags, rsp, ss
        pop     qword ptr [x_\field]
        .endr
        mov     rsp, rcx
        lea     rax, [rcx + FRAME_RIP]
        mov     [x_frame], rax
        mov     rax, cr2
        mov     [x_cr2], rax
        inc     qword ptr [x_count]
        mov     rax, [x_hook]
        test    rax, rax
        jz      1f
        call    rax
        test    eax, eax
        jnz     2f
1:      cmp     qword ptr [x_resume], 0
        je      2f
        push    DATA
        push    qword ptr [x_resume_rsp]
        push    2
        push    CODE64
        push    qword ptr [x_resume]
        jmp     3f
2:      add     rsp, 16
3:      mov     rax, [x_rax]
        mov     rcx, [x_rcx]
        iretq
