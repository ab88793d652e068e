/* Paging: who may access what, the error code of #PF, accessed and dirty flags. SDM volume 3A, chapter 5. */
#include "long.h"

#define CR0_WP 0x10000
#define CR4_SMEP 0x100000
#define CR4_SMAP 0x200000

        /* Maps TEST_AREA's first page to page_a with these flags, and NX when asked. */
        .macro MAP flags, nx=0
        mov     eax, offset page_a + \flags
        mov     [test_pt], eax
        mov     dword ptr [test_pt + 4], \nx
        invlpg  [TEST_AREA]
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

#define EXPECT_PTE(flags) mov eax, offset page_a + flags; EXPECT([test_pt], rax)

        .code64
main:
        mov     byte ptr [page_a + 0x100], 0xc3         /* RET, for the fetches */
        mov     ebx, TEST_AREA
        mov     r12, TEST_AREA + 0x100

        CASE "5.7: a read of a page that is not present has error code 0, and CR2 is the address"
        MAP     0
        CATCH   mov al, [rbx + 0x123]
        EXPECT_PF(0, TEST_AREA + 0x123)

        CASE "5.7: a write to it has W/R, a fetch from it I/D with NXE"
        CATCH   mov [rbx + 8], al
        EXPECT_PF(2, TEST_AREA + 8)
        CATCH   call r12
        EXPECT([x_vector], PF)
        EXPECT([x_error], 0x10)
        EXPECT([x_rip], r12)
        EXPECT([x_cr2], r12)

        CASE "5.7: at CPL 3 the error code has U/S"
        CATCH_USER mov al, [rbx]
        EXPECT_PF(4, TEST_AREA)
        CATCH_USER mov [rbx], al
        EXPECT_PF(6, TEST_AREA)
        CATCH_USER jmp r12
        EXPECT([x_error], 0x14)

        CASE "5.7: a fault does not set the accessed flag, nor does it touch the entry"
        EXPECT_PTE(0)

        CASE "5.8: a read sets the accessed flag alone, a write the dirty flag as well"
        MAP     P + W
        mov     al, [rbx]
        EXPECT_PTE(P + W + A)
        mov     [rbx], al
        EXPECT_PTE(P + W + A + D)

        CASE "5.8: the accessed flag is set in every entry of the walk"
        mov     rax, [test_pd]
        and     eax, A + D
        EXPECT_REG(rax, A)
        mov     rax, [pdpt + 8]
        and     eax, A
        EXPECT_REG(rax, A)

        CASE "5.8: a dirty flag that software cleared is set again after INVLPG"
        MAP     P + W + A
        mov     [rbx], al
        EXPECT_PTE(P + W + A + D)

        CASE "5.6.1: the supervisor writes to a read-only page only with CR0.WP = 0"
        MAP     P
        CATCH   mov [rbx], al
        EXPECT_PF(3, TEST_AREA)
        CR_CLEAR cr0, CR0_WP
        CATCH   mov [rbx], al
        EXPECT_NONE
        EXPECT_PTE(P + A + D)
        CR_SET  cr0, CR0_WP
        CATCH   mov [rbx], al
        EXPECT_PF(3, TEST_AREA)

        CASE "5.6.1: user mode never writes to a read-only page"
        MAP     P + U
        CATCH_USER mov al, [rbx]
        EXPECT_RETURN
        CATCH_USER mov [rbx], al
        EXPECT_PF(7, TEST_AREA)
        CR_CLEAR cr0, CR0_WP
        CATCH_USER mov [rbx], al
        EXPECT_PF(7, TEST_AREA)
        CR_SET  cr0, CR0_WP

        CASE "5.6.1: user mode does not access a supervisor page"
        MAP     P + W
        CATCH_USER mov al, [rbx]
        EXPECT_PF(5, TEST_AREA)
        CATCH_USER mov [rbx], al
        EXPECT_PF(7, TEST_AREA)
        CATCH_USER jmp r12
        EXPECT([x_error], 0x15)

        CASE "5.6.1: U/S and R/W of a directory entry hold for its pages"
        MAP     P + W + U
        mov     dword ptr [test_pd], offset test_pt + P + U
        mov     rax, cr3
        mov     cr3, rax
        CATCH   mov [rbx], al
        EXPECT_PF(3, TEST_AREA)
        mov     dword ptr [test_pd], offset test_pt + P + W
        mov     rax, cr3
        mov     cr3, rax
        CATCH_USER mov al, [rbx]
        EXPECT_PF(5, TEST_AREA)
        mov     dword ptr [test_pd], offset test_pt + P + W + U
        mov     rax, cr3
        mov     cr3, rax
        CATCH_USER mov [rbx], al
        EXPECT_RETURN

        CASE "5.6.1: XD forbids fetches and nothing else"
        MAP     P + W + U, NX_HIGH
        CATCH   mov [rbx], al
        EXPECT_NONE
        CATCH   call r12
        EXPECT([x_error], 0x11)
        CATCH_USER jmp r12
        EXPECT([x_error], 0x15)

        CASE "5.7: XD is a reserved bit with IA32_EFER.NXE = 0, and then there is no I/D"
        mov     ecx, 0xc0000080
        rdmsr
        and     eax, ~0x800
        wrmsr
        MAP     P + W + U, NX_HIGH
        CATCH   mov al, [rbx]
        EXPECT_PF(9, TEST_AREA)
        MAP     P
        CATCH_USER jmp r12
        EXPECT([x_error], 5)
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 0x800
        wrmsr

        CASE "5.7: a reserved bit of an entry has RSVD, and P with it"
        MAP     P + W + U
        mov     dword ptr [test_pd + 8], P + W + U + LARGE + 0x2000
        CATCH   mov al, [rbx + 0x200000]
        EXPECT_PF(9, TEST_AREA + 0x200000)
        CATCH_USER mov [rbx + 0x200000], al
        EXPECT_PF(15, TEST_AREA + 0x200000)
        mov     dword ptr [test_pd + 8], 0

        CASE "5.10.4.3: an entry that becomes present needs no invalidation"
        mov     dword ptr [test_pt + 8], 0
        CATCH   mov al, [rbx + 0x1000]
        EXPECT_PF(0, TEST_AREA + 0x1000)
        mov     dword ptr [test_pt + 8], offset page_b + P
        CATCH   mov al, [rbx + 0x1000]
        EXPECT_NONE

        CASE "5.10.4.3: a fault invalidates, so more rights need no invalidation after it"
        CATCH   mov [rbx + 0x1000], al
        EXPECT_PF(3, TEST_AREA + 0x1000)
        mov     dword ptr [test_pt + 8], offset page_b + P + W
        CATCH   mov [rbx + 0x1000], al
        EXPECT_NONE

        CASE "5.10.4.1: MOV to CR3 forgets translations that are not global"
        mov     dword ptr [test_pt + 8], 0
        mov     rax, cr3
        mov     cr3, rax
        CATCH   mov al, [rbx + 0x1000]
        EXPECT_PF(0, TEST_AREA + 0x1000)

        CASE "5.6.1: SMEP forbids supervisor fetches from user pages, when offered"
        MAP     P + W + U
        mov     eax, 7
        xor     ecx, ecx
        cpuid
        bt      ebx, 7
        mov     r13d, ebx
        mov     ebx, TEST_AREA
        jnc     1f
        CATCH   call r12
        EXPECT_NONE
        CR_SET  cr4, CR4_SMEP
        CATCH   call r12
        EXPECT([x_vector], PF)
        EXPECT([x_error], 0x11)
        CATCH   mov [rbx], al
        EXPECT_NONE
        CATCH_USER nop
        EXPECT_RETURN
        MAP     P + W
        CATCH   call r12
        EXPECT_NONE
        CR_CLEAR cr4, CR4_SMEP
1:
        CASE "5.6.1: SMAP forbids supervisor accesses to user pages unless RFLAGS.AC is 1, when offered"
        MAP     P + W + U
        bt      r13d, 20
        jnc     1f
        CR_SET  cr4, CR4_SMAP
        CATCH   mov al, [rbx]
        EXPECT_PF(1, TEST_AREA)
        CATCH   mov [rbx], al
        EXPECT_PF(3, TEST_AREA)
        stac
        CATCH   mov [rbx], al
        EXPECT_NONE
        clac
        CATCH   mov [rbx], al
        EXPECT_PF(3, TEST_AREA)
        CATCH   call r12
        EXPECT_NONE
        CATCH_USER mov [rbx], al
        EXPECT_RETURN
        CR_CLEAR cr4, CR4_SMAP
        CATCH   mov al, [rbx]
        EXPECT_NONE
1:
        CASE "5.6: descriptor tables are read with supervisor privilege at CPL 3"
        ENTER_USER
        mov     eax, USER_DATA
        mov     ds, eax
        LEAVE_USER
        EXPECT_RETURN

        CASE "5.5.4: bits above the implemented linear address must equal the highest, else #GP(0)"
        mov     rdx, 0x0000800000000000
        CATCH   mov al, [rdx]
        EXPECT_FAULT(GP, 0)
        mov     rbp, 0x0000800000000000
        CATCH   mov al, [rbp]
        EXPECT_FAULT(SS_FAULT, 0)
        ret
