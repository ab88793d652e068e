/* Code that changes, and what lies in two pages. SDM volume 3A, "Self-Modifying Code", 13.6. */
#include "long.h"

#define RET_OPCODE 0xc3

        .bss
        .balign 4096
two_pages: .skip 8192

        .text
        .code64
        /* Maps TEST_AREA's first two pages to page_a and page_b. */
        .macro MAP_BOTH first=P + W + U, second=P + W + U
        mov     dword ptr [test_pt], offset page_a + \first
        mov     dword ptr [test_pt + 8], offset page_b + \second
        mov     rax, cr3
        mov     cr3, rax
        .endm

main:
        CASE "13.6: a store into the next instruction is executed"
        xor     edx, edx
        mov     ecx, 3
1:      mov     byte ptr [3f + 1], cl
        nop
3:      mov     al, 0x55
        movzx   eax, al
        add     edx, eax
        dec     ecx
        jnz     1b
        EXPECT_REG(rdx, 6)

        CASE "13.6: a store directly before the changed instruction, without anything between"
        xor     edx, edx
        mov     ecx, 3
1:      mov     byte ptr [3f + 2], cl
3:      add     edx, 0x55
        dec     ecx
        jnz     1b
        EXPECT_REG(rdx, 6)

        CASE "13.6: a store into code that has run, in the same page"
        mov     byte ptr [5f + 1], 7
        call    5f
        EXPECT_REG(rax, 7)
        mov     byte ptr [5f + 1], 9
        call    5f
        EXPECT_REG(rax, 9)

        CASE "13.6: a store into another page"
        mov     dword ptr [page_a], 0xc3c0ff48          /* inc rax; ret */
        mov     edi, offset page_a
        mov     eax, 5
        call    rdi
        EXPECT_REG(rax, 6)
        mov     byte ptr [page_a + 2], 0xc8             /* dec rax */
        call    rdi
        EXPECT_REG(rax, 5)

        CASE "13.6: a store through another linear address"
        mov     edx, offset page_a + 2 + USER
        mov     byte ptr [rdx], 0xc0
        call    rdi
        EXPECT_REG(rax, 6)

        CASE "13.6: REP MOVS into code that has run"
        mov     esi, offset code_inc
        mov     edi, offset page_a
        mov     ecx, 4
        rep movsb
        mov     edi, offset page_a
        call    rdi
        EXPECT_REG(rax, 7)
        mov     esi, offset code_dec
        mov     ecx, 4
        rep movsb
        mov     edi, offset page_a
        call    rdi
        EXPECT_REG(rax, 6)

        CASE "13.6: an instruction that overwrites itself has been fetched before"
        mov     edi, offset page_a
        mov     dword ptr [page_a], 0xc39007c6          /* mov byte ptr [rdi], 0x90; ret */
        call    rdi
        mov     eax, [page_a]
        mov     ecx, 0xc3900790
        EXPECT_REG(rax, rcx)

        CASE "13.6: a loop that changes the instruction behind its own branch"
        mov     edi, offset page_a
        mov     esi, offset code_loop
        mov     ecx, offset code_loop_end - code_loop
        rep movsb
        mov     edi, offset page_a
        xor     edx, edx
        call    rdi
        EXPECT_REG(rdx, 111)

        CASE "an instruction in two pages is executed"
        lea     edi, [two_pages + 4094]
        mov     dword ptr [rdi], 0x2a2a2ab8             /* mov eax, imm32; ret */
        mov     word ptr [rdi + 4], 0xc32a
        call    rdi
        EXPECT_REG(rax, 0x2a2a2a2a)

        CASE "13.6: a store into its second page changes it"
        mov     byte ptr [rdi + 4], 0x11
        call    rdi
        EXPECT_REG(rax, 0x112a2a2a)

        CASE "13.6: a store into its first page changes it"
        mov     byte ptr [rdi + 1], 0x22
        call    rdi
        EXPECT_REG(rax, 0x112a2a22)

        CASE "a fetch from the second page faults with that page's address, RIP is the instruction's"
        MAP_BOTH P + W + U, 0
        mov     ebx, TEST_AREA + 4094
        mov     word ptr [page_a + 4094], 0x2ab8
        CATCH   call rbx
        EXPECT([x_vector], PF)
        EXPECT([x_error], 0x10)
        EXPECT([x_cr2], TEST_AREA + 4096)
        EXPECT([x_rip], rbx)

        CASE "and is executed when the page is there"
        mov     dword ptr [page_b], 0xc3000000
        MAP_BOTH
        call    rbx
        EXPECT_REG(rax, 0x2a)

        CASE "the second page may change without a store to either"
        mov     dword ptr [two_pages], 0xc3000001
        mov     dword ptr [test_pt + 8], offset two_pages + P + W + U
        invlpg  [TEST_AREA + 4096]
        call    rbx
        EXPECT_REG(rax, 0x12a)

        CASE "5.6.1: rights are those of each page: XD in the second"
        MAP_BOTH
        mov     dword ptr [test_pt + 12], NX_HIGH
        invlpg  [TEST_AREA + 4096]
        CATCH   call rbx
        EXPECT([x_error], 0x11)
        EXPECT([x_cr2], TEST_AREA + 4096)
        mov     dword ptr [test_pt + 12], 0
        MAP_BOTH

        CASE "an access in two pages reads and writes both"
        mov     rdx, 0x1122334455667788
        mov     [TEST_AREA + 4093], rdx
        mov     rax, [TEST_AREA + 4093]
        EXPECT_REG(rax, rdx)
        mov     eax, [page_b]
        mov     ecx, 0x22334455
        EXPECT_REG(rax, rcx)
        lock xadd [TEST_AREA + 4093], rdx
        mov     rax, [TEST_AREA + 4093]
        add     rdx, rdx
        EXPECT_REG(rax, rdx)

        CASE "a store whose second page is read-only writes nothing, CR2 is the second page"
        MAP_BOTH P + W + U, P + U
        mov     rdx, [page_a + 4088]
        xor     eax, eax
        CATCH   mov [TEST_AREA + 4093], rax
        EXPECT_FAULT(PF, 3)
        EXPECT([x_cr2], TEST_AREA + 4096)
        mov     rax, [page_a + 4088]
        EXPECT_REG(rax, rdx)

        CASE "an access whose first page is not present has its own address in CR2"
        MAP_BOTH 0, P + W + U
        CATCH   mov rax, [TEST_AREA + 4093]
        EXPECT_PF(0, TEST_AREA + 4093)

        CASE "a push in two pages that fails leaves RSP"
        MAP_BOTH 0, P + W + U
        mov     rdx, rsp
        mov     esp, TEST_AREA + 4099
        mov     byte ptr [idt + PF * 16 + 4], 1
        mov     qword ptr [x_vector], NONE
        mov     qword ptr [x_resume], offset 1f
        mov     [x_resume_rsp], rdx
        push    rax
1:      mov     qword ptr [x_resume], 0
        mov     byte ptr [idt + PF * 16 + 4], 0
        EXPECT([x_vector], PF)
        EXPECT([x_rsp], TEST_AREA + 4099)
        EXPECT([x_cr2], TEST_AREA + 4091)

        CASE "INVLPG and MOV to CR3 reach code: another page is executed at the same address"
        MAP_BOTH
        mov     dword ptr [page_a], 0xc3c0ff48
        mov     dword ptr [two_pages], 0xc3c8ff48
        mov     edi, TEST_AREA
        xor     eax, eax
        call    rdi
        EXPECT_REG(rax, 1)
        mov     dword ptr [test_pt], offset two_pages + P + W + U
        invlpg  [rdi]
        xor     eax, eax
        call    rdi
        EXPECT_REG(rax, -1)
        mov     dword ptr [test_pt], offset page_a + P + W + U
        mov     rax, cr3
        mov     cr3, rax
        xor     eax, eax
        call    rdi
        EXPECT_REG(rax, 1)
        ret

5:      mov     al, 0
        movzx   eax, al
        ret

code_inc: .byte 0x48, 0xff, 0xc0, RET_OPCODE
code_dec: .byte 0x48, 0xff, 0xc8, RET_OPCODE
/* Adds 1, then 10, then 100: the constant is changed in front of each round. */
code_loop:
        mov     ecx, 3
        mov     eax, 1
1:      mov     [rip + 2f + 2], al
2:      add     edx, 0x55
        imul    eax, eax, 10
        dec     ecx
        jnz     1b
        ret
code_loop_end:
