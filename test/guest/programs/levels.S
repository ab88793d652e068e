/* Five levels of paging: 57-bit linear addresses. SDM volume 3A, "4-Level Paging and 5-Level Paging", 5.5. */
#define LA57
#include "long.h"

#define CR4_LA57 0x1000
#define IA32_LSTAR 0xc0000082

        .bss
        .balign 4096
far_pml4:       .skip 4096

        .text
        .code64
main:
        mov     byte ptr [page_a], 0xc3         /* RET */
        mov     dword ptr [page_a + 8], 0x1234
        /* A page at 3 << 48, by tables that 4 levels do not have. */
        mov     dword ptr [pml5 + 3 * 8], offset far_pml4 + P + W + U
        mov     dword ptr [far_pml4], offset pdpt + P + W + U
        mov     dword ptr [test_pt], offset page_a + P + W
        mov     rbx, (3 << 48) + TEST_AREA

        CASE "bits 56:48 of a linear address choose a PML5 entry"
        CATCH   mov eax, [rbx + 8]
        EXPECT_NONE
        EXPECT_REG(rax, 0x1234)
        CATCH   call rbx
        EXPECT_NONE

        CASE "its accessed flag is set like the others"
        mov     eax, [pml5 + 3 * 8]
        and     eax, A
        EXPECT_REG(rax, A)

        CASE "an entry that is not present is #PF, with 57 bits in CR2"
        mov     rax, 5 << 48
        CATCH   mov cl, [rax]
        EXPECT_FAULT(PF, 0)
        mov     rax, 5 << 48
        EXPECT([x_cr2], rax)

        CASE "an address is canonical when bits 63:56 are equal"
        mov     rax, 1 << 47
        CATCH   mov cl, [rax]
        EXPECT_FAULT(PF, 0)
        mov     rax, 1 << 56
        CATCH   mov cl, [rax]
        EXPECT_FAULT(GP, 0)
        mov     rax, -(1 << 56)
        CATCH   mov cl, [rax]
        EXPECT_FAULT(PF, 0)

        CASE "an entry of the PML5 table that has PS is reserved"
        or      dword ptr [pml5 + 3 * 8], LARGE
        mov     rax, cr3
        mov     cr3, rax
        CATCH   mov cl, [rbx]
        EXPECT_FAULT(PF, 9)
        and     dword ptr [pml5 + 3 * 8], ~LARGE

        CASE "LA57 cannot change in IA-32e mode"
        mov     rax, cr4
        and     rax, ~CR4_LA57
        CATCH   mov cr4, rax
        EXPECT_FAULT(GP, 0)

        CASE "MSRs take 57-bit addresses"
        mov     ecx, IA32_LSTAR
        xor     eax, eax
        mov     edx, 1 << 23
        CATCH   wrmsr
        EXPECT_NONE
        mov     edx, 1 << 24
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)
        ret
