/* Single step and breakpoints: #DB, DR6, DR7, RF. SDM volume 3B, 19.2 and 19.3. */
#include "long.h"

#define B0 1
#define B1 2
#define B2 4
#define B3 8
#define BD 0x2000
#define BS 0x4000
#define DR6_INITIAL 0xffff0ff0
#define CR4_DE 8

#define EXECUTE 0
#define WRITE 1
#define IO 2
#define ACCESS 3
#define LENGTH_1 0
#define LENGTH_2 1
#define LENGTH_8 2
#define LENGTH_4 3
#define ENABLE(n, kind, length) (2 << (2 * n)) + ((kind + 4 * length) << (16 + 4 * n))

        .bss
        .balign 4096
        .skip   4088
watched: .skip 4096
log_count: .skip 8
log_rip:   .skip 8 * 64
log_dr6:   .skip 8 * 64
log_flags: .skip 8 * 64

        .text
        .code64
/* Every #DB goes into the log; RF lets an instruction breakpoint's instruction execute. */
log_debug:
        cmp     qword ptr [rcx + FRAME_VECTOR], DB
        jne     1f
        push    rdx
        mov     rdx, [log_count]
        mov     rax, [rcx + FRAME_RIP]
        mov     [log_rip + rdx * 8], rax
        mov     rax, dr6
        mov     [log_dr6 + rdx * 8], rax
        mov     rax, [rcx + FRAME_FLAGS]
        mov     [log_flags + rdx * 8], rax
        inc     qword ptr [log_count]
        or      qword ptr [rcx + FRAME_FLAGS], RF
        mov     eax, DR6_INITIAL
        mov     dr6, rax
        pop     rdx
        mov     eax, 1
        ret
1:      xor     eax, eax
        ret

        /* Between STEP and UNSTEP every instruction traps; so do UNSTEP's own three. */
        .macro STEP
        mov     qword ptr [log_count], 0
        pushfq
        or      qword ptr [rsp], TF
        popfq
1:
        .endm

        .macro UNSTEP
2:      pushfq
        and     qword ptr [rsp], ~TF
        popfq
        .endm

#define WATCH(n, address, bits) \
        mov rax, address; mov dr##n, rax; mov eax, bits; mov dr7, rax; mov qword ptr [log_count], 0

        .macro UNWATCH
        xor     eax, eax
        mov     dr7, rax
        .endm

#define EXPECT_HITS(n) EXPECT([log_count], n)
#define EXPECT_RIP(i, label) mov rax, offset label; EXPECT([log_rip + 8 * i], rax)
#define EXPECT_DR6(i, bits) mov eax, DR6_INITIAL + bits; EXPECT([log_dr6 + 8 * i], rax)
#define EXPECT_RF(i, flag) mov rax, [log_flags + 8 * i]; and eax, RF; EXPECT_REG(rax, flag)

main:
        mov     qword ptr [x_hook], offset log_debug
        mov     eax, DR6_INITIAL
        mov     dr6, rax
        mov     ebx, offset watched

        CASE "19.3.1.4: with TF there is a trap after each instruction, with BS in DR6"
        STEP
        nop
        xor eax, eax
        UNSTEP
        EXPECT_HITS(5)
        EXPECT_RIP(0, 1b + 1)
        EXPECT_RIP(1, 2b)
        EXPECT_DR6(0, BS)
        EXPECT_RF(0, 0)

        CASE "7.8.3: MOV to SS inhibits the single-step trap after itself"
        mov     edx, DATA
        STEP
        mov ss, edx
        nop
        nop
        UNSTEP
        EXPECT_HITS(5)
        EXPECT_RIP(0, 2b - 1)

        CASE "19.3.1.4: INT n clears TF, so there is no trap after it but after the instruction it returns to"
        STEP
        int 0x81
        nop
        UNSTEP
        EXPECT_HITS(4)
        EXPECT_RIP(0, 2b)

        CASE "19.3.1.4: a repeated string instruction traps after each iteration, with RF saved as 1 but for the last"
        mov     edi, offset page_a
        mov     ecx, 3
        STEP
        rep stosb
        UNSTEP
        EXPECT_HITS(6)
        EXPECT_RIP(0, 1b)
        EXPECT_RIP(1, 1b)
        EXPECT_RIP(2, 2b)
        EXPECT_RF(0, RF)
        EXPECT_RF(1, RF)
        EXPECT_RF(2, 0)

        CASE "19.4.3: with BTF branches that are taken trap, and other instructions do not; #DB clears it"
        mov     ecx, 0x1d9
        mov     eax, 2
        xor     edx, edx
        wrmsr
        STEP
        nop
        cmp rax, rax
        jne 3f
        jmp 3f
        nop
3:      nop
        UNSTEP
        EXPECT_HITS(5)
        EXPECT_RIP(0, 3b)
        EXPECT_DR6(0, BS)
        EXPECT_RIP(1, 2b)
        mov     ecx, 0x1d9
        rdmsr
        EXPECT_REG(rax, 0)

        CASE "19.3.1.4: an instruction that faults does not trap"
        STEP
        CATCH   mov al, [TEST_AREA]
        EXPECT([x_vector], PF)
        mov     rax, [x_flags]
        and     eax, TF + RF
        EXPECT_REG(rax, TF + RF)

        CASE "19.3.1.4: INT1 raises #DB as a trap and leaves DR6 alone"
        mov     qword ptr [log_count], 0
1:      .byte   0xf1
2:      EXPECT_HITS(1)
        EXPECT_RIP(0, 2b)
        EXPECT_DR6(0, 0)

        CASE "19.3.1.1: an instruction breakpoint is a fault before the instruction, RF is saved as it was"
        xor     edx, edx
        WATCH(0, offset 1f, ENABLE(0, EXECUTE, LENGTH_1))
1:      inc     edx
2:      UNWATCH
        EXPECT_HITS(1)
        EXPECT_RIP(0, 1b)
        EXPECT_DR6(0, B0)
        EXPECT_RF(0, 0)
        EXPECT_REG(rdx, 1)

        CASE "19.3.1.1: RF suppresses it for one instruction, not for the next time"
        mov     esi, 5
        xor     edx, edx
        WATCH(3, offset 1f, ENABLE(3, EXECUTE, LENGTH_1))
1:      inc     edx
        dec     esi
        jnz     1b
        UNWATCH
        EXPECT_HITS(5)
        EXPECT_DR6(4, B3)
        EXPECT_REG(rdx, 5)

        CASE "19.3.1.1: RF is 0 again when the instruction after IRET has ended"
        WATCH(0, offset 1f, ENABLE(0, EXECUTE, LENGTH_1))
1:      nop
        pushfq
        pop     rdx
        UNWATCH
        and     edx, RF
        EXPECT_REG(rdx, 0)

        CASE "19.3.1.1: a breakpoint at a repeated instruction is hit once"
        mov     edi, offset page_a
        mov     ecx, 100
        WATCH(0, offset 1f, ENABLE(0, EXECUTE, LENGTH_1))
1:      rep stosb
        UNWATCH
        EXPECT_HITS(1)

        CASE "19.2.5: only the first byte of an instruction counts"
        WATCH(0, offset 1f + 1, ENABLE(0, EXECUTE, LENGTH_1))
1:      mov     edx, 1
        UNWATCH
        EXPECT_HITS(0)

        CASE "7.9: an instruction breakpoint comes before the page fault of the fetch"
        WATCH(0, TEST_AREA, ENABLE(0, EXECUTE, LENGTH_1))
        mov     edx, TEST_AREA
        CATCH   jmp rdx
        UNWATCH
        EXPECT_HITS(1)
        EXPECT_RIP(0, TEST_AREA)
        EXPECT([x_vector], PF)

        CASE "19.2.5: it stops at code written after it was enabled"
        mov     byte ptr [page_a], 0x90
        mov     byte ptr [page_a + 1], 0xc3
        WATCH(1, offset page_a + 1, ENABLE(1, EXECUTE, LENGTH_1))
        mov     edx, offset page_a
        call    rdx
        mov     byte ptr [page_a], 0x91
        mov     byte ptr [page_a], 0x90
        call    rdx
        UNWATCH
        EXPECT_HITS(2)
        EXPECT_RIP(1, page_a + 1)

        CASE "19.3.1.2: a data breakpoint is a trap after the instruction that writes"
        WATCH(1, rbx, ENABLE(1, WRITE, LENGTH_8))
1:      mov     [rbx], eax
2:      nop
        mov     edx, [rbx]
        UNWATCH
        EXPECT_HITS(1)
        EXPECT_RIP(0, 2b)
        EXPECT_DR6(0, B1)
        EXPECT_RF(0, 0)

        CASE "19.2.4: R/W = 3 watches reads as well, and read-modify-write traps once"
        WATCH(2, rbx, ENABLE(2, ACCESS, LENGTH_4))
        mov     edx, [rbx]
        mov     [rbx], edx
        lock add dword ptr [rbx], 1
        xchg    [rbx], edx
        UNWATCH
        EXPECT_HITS(4)
        EXPECT_DR6(3, B2)

        CASE "19.2.5: any overlap counts, whatever the alignment, also from the page before"
        WATCH(0, rbx, ENABLE(0, WRITE, LENGTH_2))
        mov     [rbx - 7], rax
        mov     [rbx - 1], ax
        mov     [rbx + 1], al
        mov     [rbx + 2], rax
        mov     [rbx - 8], rax
        mov     [rbx - 4], rax
        UNWATCH
        EXPECT_HITS(4)

        CASE "19.2.5: the address is aligned to the length"
        lea     rdx, [rbx + 3]
        WATCH(0, rdx, ENABLE(0, WRITE, LENGTH_4))
        mov     byte ptr [rbx], 1
        mov     byte ptr [rbx + 4], 1
        UNWATCH
        EXPECT_HITS(1)

        CASE "19.3.1.2: PUSH, POP, CALL and RET are accesses to the stack"
        lea     rdx, [rsp - 8]
        WATCH(0, rdx, ENABLE(0, ACCESS, LENGTH_8))
        push    rdx
        pop     rdx
        call    4f
        UNWATCH
        EXPECT_HITS(4)
        EXPECT_RIP(2, 4f)

        CASE "19.3.1.2: system instructions count: PUSHF, POPF and SGDT"
        lea     rdx, [rsp - 8]
        WATCH(0, rdx, ENABLE(0, ACCESS, LENGTH_8))
        pushfq
1:      popfq
2:      UNWATCH
        EXPECT_HITS(2)
        EXPECT_RIP(0, 1b)
        EXPECT_RIP(1, 2b)
        lea     rdx, [rbx + 8]
        WATCH(0, rdx, ENABLE(0, ACCESS, LENGTH_2))
        sgdt    [rbx]
        UNWATCH
        EXPECT_HITS(1)

        CASE "5.6: reading a descriptor is no access that a breakpoint sees"
        WATCH(0, offset gdt + USER_DATA - 3, ENABLE(0, ACCESS, LENGTH_8))
        mov     edx, USER_DATA
        mov     fs, edx
        UNWATCH
        EXPECT_HITS(0)

        CASE "19.3.1.2: a repeated string instruction traps after the iteration that hits, with RF saved as 1"
        mov     edi, offset watched - 3
        mov     ecx, 10
        WATCH(0, rbx, ENABLE(0, WRITE, LENGTH_1))
1:      rep stosb
        UNWATCH
        EXPECT_HITS(1)
        EXPECT_RIP(0, 1b)
        EXPECT_RF(0, RF)
        EXPECT_REG(rcx, 0)

        CASE "19.3.1.2: an instruction that hits a breakpoint and faults does not trap"
        WATCH(0, rbx, ENABLE(0, ACCESS, LENGTH_8))
        mov     edi, TEST_AREA
        mov     rsi, rbx
        CATCH   movsq
        UNWATCH
        EXPECT([x_vector], PF)
        EXPECT_HITS(0)

        CASE "7.8.3: a data breakpoint of MOV to SS traps after the next instruction"
        mov     dword ptr [rbx], DATA
        WATCH(0, rbx, ENABLE(0, ACCESS, LENGTH_2))
1:      mov     ss, [rbx]
        nop
2:      nop
        UNWATCH
        EXPECT_HITS(1)
        EXPECT_RIP(0, 2b)

        CASE "19.2.3: one exception reports all conditions"
        WATCH(0, rbx, ENABLE(0, WRITE, LENGTH_1) + ENABLE(1, WRITE, LENGTH_4))
        mov     dr1, rbx
        STEP
        mov [rbx], eax
        UNSTEP
        UNWATCH
        EXPECT_RIP(0, 2b)
        EXPECT_DR6(0, BS + B0 + B1)

        CASE "19.2.4: a disabled breakpoint does nothing"
        WATCH(0, rbx, ENABLE(0, WRITE, LENGTH_1) - 2)
        mov     [rbx], eax
        EXPECT_HITS(0)

        CASE "19.2.4: L enables like G"
        WATCH(0, rbx, ENABLE(0, WRITE, LENGTH_1) - 1)
        mov     [rbx], eax
        EXPECT_HITS(1)
        UNWATCH

        CASE "19.2.4: user mode hits breakpoints in its own address space"
        mov     edx, offset watched + USER
        WATCH(0, rdx, ENABLE(0, WRITE, LENGTH_4))
        CATCH_USER mov [rdx], eax
        UNWATCH
        EXPECT_HITS(1)

        CASE "19.2.5: an I/O breakpoint watches ports with CR4.DE"
        mov     rax, cr4
        or      eax, CR4_DE
        mov     cr4, rax
        WATCH(0, 0x80, ENABLE(0, IO, LENGTH_1))
1:      out     0x80, al
2:      in      al, 0x81
        UNWATCH
        EXPECT_HITS(1)
        EXPECT_RIP(0, 2b)

        CASE "19.2.2: with CR4.DE, DR4 and DR5 are #UD; without, they are DR6 and DR7"
        CATCH   .byte 0x0f, 0x21, 0xe0
        EXPECT_FAULT(UD, 0)
        mov     rax, cr4
        and     eax, ~CR4_DE
        mov     cr4, rax
        CATCH   .byte 0x0f, 0x21, 0xe0
        EXPECT_NONE
        mov     edx, DR6_INITIAL
        EXPECT_REG(rax, rdx)

        CASE "19.2.4: with DR7.GD, MOV DR is a fault with BD in DR6, and GD is cleared"
        mov     qword ptr [log_count], 0
        mov     eax, 0x2000
        mov     dr7, rax
        mov     edx, 1
1:      mov     dr0, rdx
        EXPECT_HITS(1)
        EXPECT_RIP(0, 1b)
        EXPECT_DR6(0, BD)
        EXPECT_RF(0, RF)
        mov     rax, dr7
        EXPECT_REG(rax, 0x400)

        CASE "19.2.4: MOV DR is #GP(0) at CPL 3"
        CATCH_USER mov rax, dr7
        EXPECT_FAULT(GP, 0)

        CASE "19.2.3: the upper half of DR6 and DR7 must be 0"
        mov     rdx, 0x100000000
        CATCH   mov dr6, rdx
        EXPECT_FAULT(GP, 0)
        CATCH   mov dr7, rdx
        EXPECT_FAULT(GP, 0)
        ret
4:      ret
