/*
 * From long mode to compatibility, protected and real mode and back. SDM volume 3A, "IA-32e Mode Initialization", 10.8.5,
 * and "Mode Switching", 10.9. What runs below 64 KiB is copied there first.
 */
#include "long.h"

#define LOW 0x8000
#define AT(label) LOW + (label - low_code)
#define CR0_PE 1
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_LMA 0x400

        .bss
        .balign 4096
pae_pdpt:       .skip 4096
result:         .skip 8 * 8
saved_rsp:      .skip 8
far:            .skip 16

        .text
        .code64
        /* Goes to a label of the low code in a code segment, with its stack below it. */
        .macro GO selector, label
        mov     [saved_rsp], rsp
        mov     dword ptr [far], AT(\label)
        mov     word ptr [far + 4], \selector
        mov     dword ptr [LOW - 8], offset 1f
        mov     word ptr [LOW - 4], CODE64
        jmp     fword ptr [far]
1:      mov     rsp, [saved_rsp]
        .endm

#define EXPECT_RESULT(n, value) mov eax, [result + 8 * n]; mov edx, value; EXPECT_REG(rax, rdx)

main:
        mov     esi, offset low_code
        mov     edi, LOW
        mov     ecx, offset low_code_end - low_code
        rep movsb

        CASE "10.8.5: IA32_EFER.LMA follows CR0.PG with LME"
        mov     ecx, EFER
        rdmsr
        and     eax, EFER_LME + EFER_LMA
        EXPECT_REG(rax, EFER_LME + EFER_LMA)

        CASE "compatibility mode has 32-bit operands and addresses, and INC r32 where 64-bit mode has REX"
        mov     eax, 5
        GO      CODE32, compatibility
        EXPECT_RESULT(0, 6)
        EXPECT_RESULT(1, 0xffffffff)

        CASE "compatibility mode: segment bases and limits are used"
        mov     rax, 0x0040930000000fff + (0x20 << 32)
        mov     [spare], rax
        mov     dword ptr [0x200010], 0x600dcafe
        GO      CODE32, compatibility_segments
        EXPECT_RESULT(0, 0x600dcafe)

        CASE "INVLPG reaches code whose segment has a base: it is about linear addresses"
        mov     rax, 0x40409b0000001fff # code at TEST_AREA
        mov     [spare], rax
        mov     dword ptr [page_a], 0xc340 # INC EAX, RET
        mov     dword ptr [page_b], 0xc348 # DEC EAX, RET
        mov     dword ptr [page_b + 0x800], 0xcbd1ff # CALL ECX, RETF
        mov     dword ptr [test_pt], offset page_a + P + W
        mov     dword ptr [test_pt + 8], offset page_b + P + W
        GO      CODE32, compatibility_based_code
        EXPECT_RESULT(0, 101)
        EXPECT_RESULT(1, 99)

        CASE "an exception in compatibility mode comes to 64-bit code, with CS of the program"
        mov     qword ptr [x_resume], offset 1f
        mov     [x_resume_rsp], rsp
        GO      CODE32, compatibility_ud
1:      mov     qword ptr [x_resume], 0
        EXPECT([x_vector], UD)
        EXPECT([x_cs], CODE32)
        EXPECT([x_rip], AT(compatibility_ud))

        CASE "SYSCALL and 64-bit registers: a 32-bit write clears the upper half, also across modes"
        mov     rbx, -1
        GO      CODE32, compatibility_ebx
        mov     eax, 0x12345678
        EXPECT_REG(rbx, rax)

        CASE "10.8.5.4: clearing CR0.PG in compatibility mode leaves IA-32e mode: LMA is 0"
        GO      CODE32, leave_long
        EXPECT_RESULT(0, EFER_LME)
        EXPECT_RESULT(1, 0)

        CASE "10.8.5: back in IA-32e mode, LME cannot change while PG is 1"
        GO      CODE32, leave_long
        mov     ecx, EFER
        rdmsr
        xor     eax, EFER_LME
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)

        CASE "protected mode without paging reads physical memory"
        mov     dword ptr [0x300000], 0x1badcafe
        GO      CODE32, physical
        EXPECT_RESULT(0, 0x1badcafe)

        CASE "32-bit paging maps pages of 4 MiB with CR4.PSE"
        mov     dword ptr [page_a], P + W + LARGE
        mov     dword ptr [page_a + 4], 0x400000 + P + W + LARGE
        mov     dword ptr [page_a + 8], P + W + LARGE
        mov     dword ptr [0x100040], 0
        mov     dword ptr [0x300040], 0x32326464
        GO      CODE32, paging_32
        EXPECT_RESULT(0, 0x32326464)
        mov     eax, [page_a + 8]
        EXPECT_REG(rax, P + W + LARGE + A)

        CASE "PAE paging loads four PDPTEs with CR3"
        mov     dword ptr [pae_pdpt], offset low_pages + P
        mov     dword ptr [pae_pdpt + 8], offset low_pages + P
        GO      CODE32, paging_pae
        EXPECT_RESULT(0, 0x32326464)

        CASE "real mode: a segment is a paragraph, CS is far jumped to, IP has 16 bits"
        mov     dword ptr [0x12340], 0xfeedbeef
        GO      CODE16, real
        EXPECT_RESULT(0, 0xfeedbeef)
        EXPECT_RESULT(1, 0x0800)

        CASE "real mode: INT n goes through the interrupt vector table and pushes FLAGS, CS and IP"
        EXPECT_RESULT(2, 6)
        EXPECT_RESULT(3, 0x0800)

        CASE "real mode: a word at offset 0xffff is #GP through vector 13"
        EXPECT_RESULT(4, 0x13)

        CASE "real mode: limits loaded in protected mode stay (big real mode)"
        EXPECT_RESULT(5, 0x32326464)

        CASE "real mode: an address above 1 MiB is reached with A20 high"
        EXPECT_RESULT(6, 0x20202020)

        CASE "10.8.5: real mode to IA-32e mode in one write of CR0"
        EXPECT_RESULT(7, EFER_LME + EFER_LMA)
        ret

        .balign 16
low_code:
        .code32
        .macro TO_LONG
        jmp     fword ptr [LOW - 8]
        .endm

compatibility:
        .byte   0x40                    /* inc eax; a REX prefix in 64-bit mode */
        mov     [result], eax
        mov     eax, -1
        mov     [result + 8], eax
        TO_LONG

compatibility_segments:
        mov     eax, SPARE
        mov     fs, eax
        mov     eax, fs:[0x10]
        mov     [result], eax
        xor     eax, eax
        mov     fs, eax
        TO_LONG

compatibility_based_code:
        xor     ecx, ecx
        mov     eax, 100
        call    SPARE, 0x1800
        mov     [result], eax
        mov     dword ptr [test_pt], offset page_b + P + W
        invlpg  [TEST_AREA]
        mov     eax, 100
        call    SPARE, 0x1800
        mov     [result + 8], eax
        TO_LONG

compatibility_ud:
        ud2

compatibility_ebx:
        mov     ebx, 0x12345678
        TO_LONG

        /* Without paging from here on; BACK turns it on again. */
        .macro PAGING_OFF
        mov     eax, DATA
        mov     ds, eax
        mov     ss, eax
        mov     esp, LOW - 16
        mov     eax, cr0
        and     eax, ~CR0_PG
        mov     cr0, eax
        .endm

        .macro BACK
        mov     eax, cr4
        or      eax, CR4_PAE
        mov     cr4, eax
        mov     eax, offset pml4
        mov     cr3, eax
        mov     ecx, EFER
        rdmsr
        or      eax, EFER_LME
        wrmsr
        mov     eax, cr0
        or      eax, CR0_PG
        mov     cr0, eax
        TO_LONG
        .endm

leave_long:
        PAGING_OFF
        mov     ecx, EFER
        rdmsr
        and     eax, EFER_LME + EFER_LMA
        mov     [result], eax
        and     eax, EFER_LMA
        mov     [result + 8], eax
        BACK

        .macro LEGACY
        PAGING_OFF
        mov     ecx, EFER
        rdmsr
        and     eax, ~EFER_LME
        wrmsr
        .endm

physical:
        LEGACY
        mov     eax, [0x300000]
        mov     [result], eax
        BACK

paging_32:
        LEGACY
        mov     eax, cr4
        and     eax, ~CR4_PAE
        or      eax, 0x10
        mov     cr4, eax
        mov     eax, offset page_a
        mov     cr3, eax
        mov     eax, cr0
        or      eax, CR0_PG
        mov     cr0, eax
        mov     eax, [0x800000 + 0x300040]
        mov     [result], eax
        mov     eax, cr0
        and     eax, ~CR0_PG
        mov     cr0, eax
        mov     eax, cr4
        and     eax, ~0x10
        mov     cr4, eax
        BACK

paging_pae:
        LEGACY
        mov     eax, offset pae_pdpt
        mov     cr3, eax
        mov     eax, cr0
        or      eax, CR0_PG
        mov     cr0, eax
        mov     eax, [0x40000000 + 0x300040]
        mov     [result], eax
        mov     eax, cr0
        and     eax, ~CR0_PG
        mov     cr0, eax
        BACK

        .code16
real:
        mov     eax, DATA
        mov     ds, eax
        mov     fs, eax                 /* keeps its limit of 4 GiB */
        mov     eax, cr0
        and     eax, ~CR0_PG
        mov     cr0, eax
        mov     ecx, EFER
        rdmsr
        and     eax, ~EFER_LME
        wrmsr
        mov     eax, DATA16
        mov     ds, eax
        mov     ss, eax
        mov     es, eax
        mov     eax, cr0
        and     al, ~CR0_PE
        mov     cr0, eax
        .att_syntax
        ljmp    $0x800, $(real_2 - low_code)
        .intel_syntax noprefix
real_2:
        mov     edi, offset result
        xor     ax, ax
        mov     ss, ax
        mov     sp, LOW - 16
        mov     ds, ax
        lidt    [AT(ivt_register)]
        /* The vector table: 0x40 and #GP. */
        mov     word ptr [0x40 * 4], offset real_interrupt - low_code
        mov     word ptr [0x40 * 4 + 2], 0x800
        mov     word ptr [13 * 4], offset real_gp - low_code
        mov     word ptr [13 * 4 + 2], 0x800
        mov     ax, 0x1234
        mov     es, ax
        mov     eax, es:[0]
        mov     fs:[edi], eax
        mov     ax, cs
        movzx   eax, ax
        mov     fs:[edi + 8], eax
        /* INT n */
        mov     bp, sp
        int     0x40
real_3:
        /* A word at the end of the segment */
        mov     dword ptr fs:[edi + 32], 0
        mov     bx, 0xffff
real_4:
        mov     ax, [bx]
real_5:
        /* The wide limit that FS kept */
        mov     esi, 0x300040
        mov     eax, fs:[esi]
        mov     fs:[edi + 40], eax
        /* FFFF:0010 is 0x100000 */
        mov     esi, 0x100100
        mov     eax, fs:[esi]
        push    eax
        mov     dword ptr fs:[esi], 0x20202020
        mov     ax, 0xffff
        mov     es, ax
        mov     eax, es:[0x110]
        mov     fs:[edi + 48], eax
        pop     eax
        mov     fs:[esi], eax
        /* And back, PE and PG at once */
        mov     eax, cr4
        or      eax, CR4_PAE
        mov     cr4, eax
        mov     eax, offset pml4
        mov     cr3, eax
        mov     ecx, EFER
        rdmsr
        or      eax, EFER_LME
        wrmsr
        mov     eax, cr0
        or      eax, CR0_PG + CR0_PE
        mov     cr0, eax
        .att_syntax
        ljmpl   $CODE64, $real_6
        .intel_syntax noprefix

real_interrupt:
        sub     bp, sp
        movzx   eax, bp
        mov     fs:[edi + 16], eax
        mov     bp, sp
        movzx   eax, word ptr [bp + 2]
        mov     fs:[edi + 24], eax
        iret

real_gp:
        mov     dword ptr fs:[edi + 32], 0x13
        mov     bp, sp
        mov     word ptr [bp], offset real_5 - low_code
        iret

ivt_register:
        .word   0x3ff
        .long   0
low_code_end:

        .code64
real_6:
        mov     eax, DATA
        mov     ds, eax
        mov     ss, eax
        mov     es, eax
        xor     eax, eax
        mov     fs, eax
        lidt    [idtr]
        mov     ecx, EFER
        rdmsr
        and     eax, EFER_LME + EFER_LMA
        mov     [result + 56], eax
        mov     eax, [LOW - 8]
        jmp     rax
