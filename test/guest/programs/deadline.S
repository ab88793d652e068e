/* The local APIC timer by TSC deadline. SDM volume 3A, "TSC-Deadline Mode", 12.5.4.1; "Time-Stamp Counter", 19.17. */
#include "long.h"

#define SVR LAPIC + 0xf0
#define LVT_TIMER LAPIC + 0x320
#define INITIAL_COUNT LAPIC + 0x380
#define CURRENT_COUNT LAPIC + 0x390
#define DIVIDE LAPIC + 0x3e0
#define ONE_SHOT 0
#define PERIODIC 0x20000
#define DEADLINE 0x40000
#define MASKED 0x10000

#define TSC 0x10
#define TSC_ADJUST 0x3b
#define TSC_DEADLINE 0x6e0
#define SOON 2000
#define LATER 100000000

        .macro APIC_WRITE register, value
        mov     r15d, \register
        mov     dword ptr [r15], \value
        .endm

        /* Writes RBX to an MSR. */
        .macro WRITE_RBX msr
        mov     ecx, \msr
        mov     eax, ebx
        mov     rdx, rbx
        shr     rdx, 32
        wrmsr
        .endm

        .macro READ msr
        mov     ecx, \msr
        rdmsr
        shl     rdx, 32
        or      rax, rdx
        .endm

        .macro TSC_TO_RBX
        rdtsc
        shl     rdx, 32
        lea     rbx, [rax + rdx]
        .endm

        /* Arms the timer so many counts from now. */
        .macro ARM distance
        TSC_TO_RBX
        add     rbx, \distance
        WRITE_RBX TSC_DEADLINE
        .endm

        /* Lets more than SOON counts pass, with interrupts on. */
        .macro PASS
        sti
        mov     ecx, 2 * SOON
1:      dec     ecx
        jnz     1b
        cli
        .endm

#define EXPECT_IRQS(n) EXPECT([irq_count], n)
#define EXPECT_DEADLINE(value) READ TSC_DEADLINE; EXPECT_REG(rax, value)

        .bss
        .balign 8
irq_count:      .skip 8
irq_tsc:        .skip 8

        .text
        .code64
log_irq:
        push    rdx
        push    r15
        xor     eax, eax
        cmp     dword ptr [rcx + FRAME_VECTOR], GP
        je      1f
        inc     qword ptr [irq_count]
        rdtsc
        shl     rdx, 32
        or      rax, rdx
        mov     [irq_tsc], rax
        APIC_WRITE EOI, 0
        mov     eax, 1
1:      pop     r15
        pop     rdx
        ret

main:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        mov     qword ptr [x_hook], offset log_irq
        APIC_WRITE SVR, 0x1ff
        APIC_WRITE LAPIC + 0x80, 0
        APIC_WRITE DIVIDE, 0xb

        CASE "CPUID.01H:ECX[24] offers the TSC deadline, and CPUID.07H:EBX[1] IA32_TSC_ADJUST"
        mov     eax, 1
        cpuid
        shr     ecx, 24
        and     ecx, 1
        mov     r12d, ecx
        EXPECT_REG(rcx, 1)
        mov     eax, 7
        xor     ecx, ecx
        cpuid
        and     ebx, 2
        EXPECT_REG(rbx, 2)
        test    r12d, r12d
        jnz     1f
        ret                             /* a processor without it says nothing about the rest */
1:

        CASE "in another mode IA32_TSC_DEADLINE reads 0 and a write is ignored"
        APIC_WRITE LVT_TIMER, ONE_SHOT + 0x70
        ARM     SOON
        EXPECT_DEADLINE(0)
        APIC_WRITE LVT_TIMER, PERIODIC + 0x70
        ARM     SOON
        EXPECT_DEADLINE(0)
        PASS
        EXPECT_IRQS(0)

        CASE "LVT bits 18:17 are 10B: a deadline that is written reads back until it is there"
        APIC_WRITE LVT_TIMER, DEADLINE + 0x70
        mov     r15d, LVT_TIMER
        mov     eax, [r15]
        EXPECT_REG(rax, DEADLINE + 0x70)
        ARM     SOON
        EXPECT_DEADLINE(rbx)
        sti
        hlt
        cli
        EXPECT_IRQS(1)

        CASE "the interrupt comes when the TSC has reached it, once, and IA32_TSC_DEADLINE is 0"
        EXPECT_DEADLINE(0)
        mov     rax, [irq_tsc]
        cmp     rax, rbx
        sbb     eax, eax
        EXPECT_REG(rax, 0)
        PASS
        EXPECT_IRQS(1)

        CASE "0 disarms"
        mov     qword ptr [irq_count], 0
        ARM     SOON
        xor     ebx, ebx
        WRITE_RBX TSC_DEADLINE
        EXPECT_DEADLINE(0)
        PASS
        EXPECT_IRQS(0)

        CASE "a deadline in the past interrupts at once, and the MSR is 0"
        TSC_TO_RBX
        sub     rbx, 1000
        WRITE_RBX TSC_DEADLINE
        sti
        nop
        nop
        cli
        EXPECT_IRQS(1)
        EXPECT_DEADLINE(0)
        mov     ebx, 1
        WRITE_RBX TSC_DEADLINE
        sti
        nop
        nop
        cli
        EXPECT_IRQS(2)

        CASE "the numbers have no sign: all ones are the far future"
        mov     qword ptr [irq_count], 0
        mov     rbx, -1
        WRITE_RBX TSC_DEADLINE
        PASS
        EXPECT_IRQS(0)
        EXPECT_DEADLINE(-1)

        CASE "a new deadline takes the place of the old one, earlier or later"
        ARM     SOON
        ARM     LATER
        PASS
        EXPECT_IRQS(0)
        ARM     SOON
        PASS
        EXPECT_IRQS(1)

        CASE "a change of the mode disarms"
        mov     qword ptr [irq_count], 0
        ARM     SOON
        APIC_WRITE LVT_TIMER, ONE_SHOT + 0x70
        EXPECT_DEADLINE(0)
        APIC_WRITE LVT_TIMER, DEADLINE + 0x70
        EXPECT_DEADLINE(0)
        PASS
        EXPECT_IRQS(0)

        CASE "a change to TSC-deadline mode stops a count"
        APIC_WRITE LVT_TIMER, PERIODIC + 0x70
        APIC_WRITE INITIAL_COUNT, SOON
        APIC_WRITE LVT_TIMER, DEADLINE + 0x70
        PASS
        EXPECT_IRQS(0)

        CASE "writes to the initial count are ignored, the current count reads 0"
        APIC_WRITE INITIAL_COUNT, SOON
        mov     r15d, CURRENT_COUNT
        mov     eax, [r15]
        EXPECT_REG(rax, 0)
        PASS
        EXPECT_IRQS(0)
        APIC_WRITE LVT_TIMER, ONE_SHOT + 0x70
        PASS
        EXPECT_IRQS(0)
        APIC_WRITE LVT_TIMER, DEADLINE + 0x70

        CASE "a change of the vector keeps the deadline"
        ARM     SOON
        APIC_WRITE LVT_TIMER, DEADLINE + 0x71
        EXPECT_DEADLINE(rbx)
        mov     qword ptr [x_vector], NONE
        sti
        hlt
        cli
        EXPECT([x_vector], 0x71)

        CASE "a deadline that is reached while masked is lost, and disarmed"
        mov     qword ptr [irq_count], 0
        APIC_WRITE LVT_TIMER, MASKED + DEADLINE + 0x70
        ARM     SOON
        PASS
        EXPECT_DEADLINE(0)
        APIC_WRITE LVT_TIMER, DEADLINE + 0x70
        PASS
        EXPECT_IRQS(0)

        CASE "19.17.3: a write to the TSC changes IA32_TSC_ADJUST by the same amount"
        READ    TSC_ADJUST
        mov     r12, rax
        TSC_TO_RBX
        add     rbx, 0x40000000
        mov     r13, rbx
        WRITE_RBX TSC
        READ    TSC_ADJUST
        sub     rax, r12
        sub     rax, 0x40000000 - 0x1000
        cmp     rax, 0x1000             /* the instructions between reading and writing */
        sbb     eax, eax
        and     eax, 1
        EXPECT_REG(rax, 1)
        TSC_TO_RBX
        sub     rbx, r13
        shr     rbx, 12
        EXPECT_REG(rbx, 0)

        CASE "19.17.3: a write to IA32_TSC_ADJUST changes the TSC by the same amount"
        READ    TSC_ADJUST
        mov     rbx, rax
        mov     r12, 0x1000000000
        add     rbx, r12
        rdtsc
        shl     rdx, 32
        lea     r13, [rax + rdx]
        WRITE_RBX TSC_ADJUST
        TSC_TO_RBX
        sub     rbx, r13
        sub     rbx, r12
        shr     rbx, 12
        EXPECT_REG(rbx, 0)

        CASE "a TSC that is moved past the deadline interrupts, one that is moved back waits longer"
        mov     qword ptr [irq_count], 0
        ARM     LATER
        READ    TSC_ADJUST
        lea     rbx, [rax + 2 * LATER]
        WRITE_RBX TSC_ADJUST
        sti
        nop
        nop
        cli
        EXPECT_IRQS(1)
        EXPECT_DEADLINE(0)
        ARM     SOON
        READ    TSC_ADJUST
        lea     rbx, [rax - LATER]
        WRITE_RBX TSC_ADJUST
        PASS
        EXPECT_IRQS(1)
        lea     rbx, [rbx + LATER]
        WRITE_RBX TSC_ADJUST
        PASS
        EXPECT_IRQS(2)

        CASE "a TSC in its upper half: a deadline in the lower one is past"
        mov     qword ptr [irq_count], 0
        mov     rbx, 0x9000000000000000
        WRITE_RBX TSC
        mov     ebx, 5
        WRITE_RBX TSC_DEADLINE
        sti
        nop
        nop
        cli
        EXPECT_IRQS(1)
        ARM     SOON
        sti
        hlt
        cli
        EXPECT_IRQS(2)
        ret
