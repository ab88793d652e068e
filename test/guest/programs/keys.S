/* Protection keys for user-mode and supervisor-mode pages. SDM volume 3A, "Protection Keys", 5.6.2. */
#include "long.h"

#define CR0_WP 0x10000
#define CR4_PKE 0x400000
#define CR4_PKS 0x1000000
#define IA32_PKRS 0x6e1
#define KEY 5
#define AD 1
#define WD 2
#define PK 0x20

        /* Maps TEST_AREA's first page to page_a with these flags and this key. */
        .macro MAP flags, key
        mov     eax, offset page_a + \flags
        mov     [test_pt], eax
        mov     dword ptr [test_pt + 4], \key << 27
        invlpg  [TEST_AREA]
        .endm

        /* The rights of KEY. */
        .macro PKRU_IS rights
        mov     eax, \rights << (2 * KEY)
        xor     ecx, ecx
        xor     edx, edx
        wrpkru
        .endm

        .macro PKRS_IS rights
        mov     eax, \rights << (2 * KEY)
        mov     ecx, IA32_PKRS
        xor     edx, edx
        wrmsr
        .endm

        .macro CR_SET register, bits
        mov     rax, \register
        or      rax, \bits
        mov     \register, rax
        .endm

        .macro CR_CLEAR register, bits
        mov     rax, \register
        and     rax, ~\bits
        mov     \register, rax
        .endm

        .code64
main:
        mov     byte ptr [page_a + 0x100], 0xc3         /* RET, for the fetches */
        mov     ebx, TEST_AREA
        mov     r12, TEST_AREA + 0x100

        CASE "RDPKRU and WRPKRU are #UD with CR4.PKE = 0, and #GP(0) with other bits than the manual's"
        xor     ecx, ecx
        xor     edx, edx
        CATCH   rdpkru
        EXPECT_FAULT(UD, 0)
        CATCH   wrpkru
        EXPECT_FAULT(UD, 0)
        CR_SET  cr4, CR4_PKE
        mov     ecx, 1
        CATCH   rdpkru
        EXPECT_FAULT(GP, 0)
        CATCH   wrpkru
        EXPECT_FAULT(GP, 0)
        xor     ecx, ecx
        mov     edx, 1
        CATCH   wrpkru
        EXPECT_FAULT(GP, 0)
        mov     eax, 0x12345678
        xor     edx, edx
        wrpkru
        mov     eax, -1
        mov     rdx, -1
        rdpkru
        EXPECT_REG(rax, 0x12345678)
        EXPECT_REG(rdx, 0)

        CASE "CPUID shows OSPKE"
        mov     eax, 7
        xor     ecx, ecx
        push    rbx
        cpuid
        pop     rbx
        and     ecx, 0x18
        EXPECT_REG(rcx, 0x18)

        CASE "access-disable forbids reads and writes of user-mode pages at every CPL, with PK in the error code"
        MAP     P + W + U, KEY
        PKRU_IS AD
        CATCH_USER mov al, [rbx]
        EXPECT_PF(P + 4 + PK, TEST_AREA)
        CATCH_USER mov [rbx], al
        EXPECT_PF(P + 2 + 4 + PK, TEST_AREA)
        CATCH   mov al, [rbx + 8]
        EXPECT_PF(P + PK, TEST_AREA + 8)

        CASE "it does not forbid fetches"
        CATCH_USER call r12
        EXPECT_RETURN

        CASE "write-disable forbids writes, at CPL 0 with CR0.WP alone"
        PKRU_IS WD
        CATCH_USER mov al, [rbx]
        EXPECT_RETURN
        CATCH_USER mov [rbx], al
        EXPECT_PF(P + 2 + 4 + PK, TEST_AREA)
        CR_SET  cr0, CR0_WP
        CATCH   mov [rbx], al
        EXPECT_PF(P + 2 + PK, TEST_AREA)
        CR_CLEAR cr0, CR0_WP
        CATCH   mov [rbx], al
        EXPECT_NONE
        CR_SET  cr0, CR0_WP
        CATCH   mov [rbx], al
        EXPECT_PF(P + 2 + PK, TEST_AREA)

        CASE "WRPKRU is in effect at once, in both directions"
        PKRU_IS 0
        CATCH_USER mov [rbx], al
        EXPECT_RETURN
        PKRU_IS AD
        CATCH_USER mov al, [rbx]
        EXPECT_PF(P + 4 + PK, TEST_AREA)
        PKRU_IS 0
        CATCH_USER mov al, [rbx]
        EXPECT_RETURN

        CASE "pages of other keys and supervisor-mode pages have nothing to do with it"
        PKRU_IS AD + WD
        MAP     P + W + U, 4
        CATCH_USER mov [rbx], al
        EXPECT_RETURN
        MAP     P + W, KEY
        CATCH   mov [rbx], al
        EXPECT_NONE

        CASE "without CR4.PKE keys are ignored"
        MAP     P + W + U, KEY
        CR_CLEAR cr4, CR4_PKE
        CATCH_USER mov [rbx], al
        EXPECT_RETURN
        CR_SET  cr4, CR4_PKE
        CATCH_USER mov [rbx], al
        EXPECT_PF(P + 2 + 4 + PK, TEST_AREA)

        CASE "IA32_PKRS has 32 bits and is for the supervisor-mode pages"
        mov     ecx, IA32_PKRS
        xor     eax, eax
        mov     edx, 1
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)
        MAP     P + W, KEY
        PKRS_IS AD
        CATCH   mov al, [rbx]
        EXPECT_NONE
        CR_SET  cr4, CR4_PKS
        CATCH   mov al, [rbx]
        EXPECT_PF(P + PK, TEST_AREA)
        PKRS_IS WD
        CATCH   mov al, [rbx]
        EXPECT_NONE
        CATCH   mov [rbx], al
        EXPECT_PF(P + 2 + PK, TEST_AREA)
        CR_CLEAR cr0, CR0_WP
        CATCH   mov [rbx], al
        EXPECT_NONE
        CR_SET  cr0, CR0_WP

        CASE "a user-mode access to such a page is refused without its key, one to a user-mode page not by IA32_PKRS"
        PKRU_IS 0
        PKRS_IS AD
        CATCH_USER mov al, [rbx]
        EXPECT([x_vector], PF)
        EXPECT([x_cr2], TEST_AREA)
        MAP     P + W + U, KEY
        CATCH_USER mov [rbx], al
        EXPECT_RETURN
        ret
