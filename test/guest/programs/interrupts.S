/* Maskable interrupts, NMIs and timers: shadows, priorities, REP. SDM volume 3A, chapters 7 and 12. */
#include "long.h"

#define ICR_SELF 0x44000
#define ICR_NMI 0x4400
#define ICR LAPIC + 0x300
#define TPR LAPIC + 0x80
#define SVR LAPIC + 0xf0
#define LVT_TIMER LAPIC + 0x320
#define INITIAL_COUNT LAPIC + 0x380
#define CURRENT_COUNT LAPIC + 0x390
#define DIVIDE LAPIC + 0x3e0
#define PERIODIC 0x20000
#define TSC_DEADLINE 0x40000
#define MASKED 0x10000

        .macro APIC_WRITE register, value
        mov     r15d, \register
        mov     dword ptr [r15], \value
        .endm

        /* With IF clear, makes these vectors pend. */
        .macro PEND vectors:vararg
        mov     qword ptr [irq_count], 0
        .irp    v, \vectors
        APIC_WRITE ICR, ICR_SELF + \v
        .endr
        .endm

        .macro PORT_OUT port, value
        mov     al, \value
        out     \port, al
        .endm

#define EXPECT_IRQ(n, vector, label) \
        mov rax, offset label; EXPECT([irq_rip + 8 * n], rax); EXPECT([irq_vector + 8 * n], vector)
#define EXPECT_IRQS(n) EXPECT([irq_count], n)

        .bss
        .balign 8
irq_count:      .skip 8
irq_rip:        .skip 8 * 16
irq_vector:     .skip 8 * 16
irq_flags:      .skip 8 * 16
nested_vector:  .skip 8
nmi_again:      .skip 8
nmi_depth:      .skip 8
nmi_deepest:    .skip 8
bytes:          .skip 0x10000
bytes2:         .skip 0x10000

        .text
        .code64
log_irq:
        push    rdx
        push    r15
        mov     rdx, [irq_count]
        mov     rax, [rcx + FRAME_RIP]
        mov     [irq_rip + rdx * 8], rax
        mov     rax, [rcx + FRAME_FLAGS]
        mov     [irq_flags + rdx * 8], rax
        mov     rax, [rcx + FRAME_VECTOR]
        mov     [irq_vector + rdx * 8], rax
        inc     qword ptr [irq_count]
        cmp     eax, 0x20
        jb      1f
        cmp     eax, 0x30
        jae     2f
        mov     al, 0x20                /* the 8259's */
        out     0x20, al
        jmp     1f
2:      APIC_WRITE EOI, 0
1:      mov     eax, 1
        pop     r15
        pop     rdx
        ret

main:
        PORT_OUT 0x21, 0xff
        PORT_OUT 0xa1, 0xff
        APIC_WRITE SVR, 0x1ff
        APIC_WRITE TPR, 0
        mov     qword ptr [x_hook], offset log_irq

        CASE "STI: an interrupt is taken after the instruction that follows"
        PEND    0x50
        sti
        nop
1:      nop
        cli
        EXPECT_IRQS(1)
        EXPECT_IRQ(0, 0x50, 1b)

        CASE "STI; CLI: nothing is taken"
        PEND    0x50
        sti
        cli
        nop
        EXPECT_IRQS(0)
        sti
        nop
1:      cli
        EXPECT_IRQ(0, 0x50, 1b)

        CASE "STI; HLT: an interrupt that pends ends the halt, its RIP is behind HLT"
        PEND    0x50
        sti
        hlt
1:      cli
        EXPECT_IRQ(0, 0x50, 1b)

        CASE "7.8.3: MOV to SS holds interrupts until the next instruction has ended"
        PEND    0x50
        mov     eax, DATA
        sti
        mov     ss, eax
        nop
1:      nop
        cli
        EXPECT_IRQ(0, 0x50, 1b)

        CASE "POPF and IRET that set IF begin no shadow"
        PEND    0x50
        push    2 + IF
        popfq
1:      nop
        cli
        EXPECT_IRQ(0, 0x50, 1b)
        PEND    0x50
        mov     rax, rsp
        push    DATA
        push    rax
        push    2 + IF
        push    CODE64
        push    offset 1f
        iretq
1:      nop
        cli
        EXPECT_IRQ(0, 0x50, 1b)

        CASE "12.8.3: the higher vector is taken first"
        PEND    0x50, 0x61, 0x42
        sti
        nop
1:      cli
        EXPECT_IRQS(3)
        EXPECT_IRQ(0, 0x61, 1b)
        EXPECT_IRQ(1, 0x50, 1b)
        EXPECT_IRQ(2, 0x42, 1b)

        CASE "12.8.3.1: the task priority holds its class and those below, MOV to CR8 lets them go"
        mov     eax, 5
        mov     cr8, rax
        PEND    0x5f, 0x60
        sti
        nop
        nop
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 0x60)
        xor     eax, eax
        mov     cr8, rax
1:      nop
        cli
        EXPECT_IRQS(2)
        EXPECT_IRQ(1, 0x5f, 1b)

        CASE "7.9: a single-step trap comes before an interrupt"
        PEND    0x50
        push    2 + TF
        popfq
        sti
        nop
        push    2
        popfq
        EXPECT([irq_vector], DB)
        EXPECT([irq_vector + 8], 0x50)
        EXPECT([irq_vector + 16], DB)

        CASE "7.7.1: NMI is taken with IF = 0, and another waits for IRET"
        mov     qword ptr [irq_count], 0
        mov     qword ptr [x_hook], offset log_nmi
        mov     qword ptr [nmi_again], 1
        APIC_WRITE LAPIC + 0x310, 0
        APIC_WRITE ICR, ICR_NMI
1:      nop
        mov     qword ptr [x_hook], offset log_irq
        EXPECT_IRQS(2)
        EXPECT([irq_vector], 2)
        EXPECT_IRQ(0, 2, 1b)
        EXPECT_IRQ(1, 2, 1b)
        EXPECT([nmi_deepest], 1)

        CASE "12.5.4: the APIC timer, one-shot, interrupts once and stops at 0"
        mov     qword ptr [irq_count], 0
        APIC_WRITE DIVIDE, 0xb
        APIC_WRITE LVT_TIMER, 0x70
        APIC_WRITE INITIAL_COUNT, 1000
        sti
        hlt
        cli
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 0x70)
        mov     r15d, CURRENT_COUNT
        mov     eax, [r15]
        EXPECT_REG(rax, 0)

        CASE "12.5.4: the APIC timer, periodic, interrupts again and again"
        mov     qword ptr [irq_count], 0
        APIC_WRITE LVT_TIMER, PERIODIC + 0x70
        APIC_WRITE INITIAL_COUNT, 5000
        sti
1:      hlt
        cmp     dword ptr [irq_count], 4
        jb      1b
        cli
        APIC_WRITE LVT_TIMER, MASKED
        APIC_WRITE INITIAL_COUNT, 0
        EXPECT_IRQS(4)

        CASE "12.5.4.1: the TSC-deadline mode interrupts when the TSC is there, and disarms"
        mov     eax, 1
        cpuid
        bt      ecx, 24
        jnc     2f
        mov     qword ptr [irq_count], 0
        APIC_WRITE LVT_TIMER, TSC_DEADLINE + 0x71
        mfence
        rdtsc
        shl     rdx, 32
        or      rax, rdx
        add     rax, 100000
        mov     rbx, rax
        mov     rdx, rax
        shr     rdx, 32
        mov     ecx, 0x6e0
        wrmsr
        sti
        hlt
        cli
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 0x71)
        rdtsc
        shl     rdx, 32
        or      rax, rdx
        cmp     rax, rbx
        sbb     eax, eax
        EXPECT_REG(rax, 0)
        rdmsr
        EXPECT_REG(rax, 0)
        APIC_WRITE LVT_TIMER, MASKED
2:
        CASE "8254 and 8259: channel 0 in mode 2 is IRQ 0, through LINT0 as ExtINT"
        PORT_OUT 0x20, 0x11
        PORT_OUT 0x21, 0x20
        PORT_OUT 0x21, 0x04
        PORT_OUT 0x21, 0x01
        PORT_OUT 0x21, 0xff
        APIC_WRITE LAPIC + 0x350, 0x700
        mov     qword ptr [irq_count], 0
        PORT_OUT 0x43, 0x34
        PORT_OUT 0x40, 0xe8
        PORT_OUT 0x40, 0x03
        PORT_OUT 0x21, 0xfe
        sti
1:      hlt
        cmp     dword ptr [irq_count], 3
        jb      1b
        cli
        PORT_OUT 0x21, 0xff
        EXPECT([irq_vector], 0x20)
        EXPECT([irq_vector + 16], 0x20)

        CASE "8259: a masked request waits in the IRR"
        PORT_OUT 0x43, 0x30
        PORT_OUT 0x40, 100
        PORT_OUT 0x40, 0
        mov     ecx, 100000
1:      dec     ecx
        jz      2f
        PORT_OUT 0x20, 0x0a
        in      al, 0x20
        test    al, 1
        jz      1b
2:      and     eax, 1
        EXPECT_REG(rax, 1)
        mov     qword ptr [irq_count], 0
        PORT_OUT 0x21, 0xfe
        sti
        nop
        nop
        cli
        PORT_OUT 0x21, 0xff
        EXPECT_IRQS(1)

        .macro INTERRUPTED code:vararg
        mov     qword ptr [irq_count], 0
        APIC_WRITE LVT_TIMER, 0x70
        APIC_WRITE INITIAL_COUNT, 300
        sti
1:      \code
        cli
        .endm

        CASE "7.8 of volume 1: REP STOS is interrupted between iterations, with RF saved as 1, and goes on"
        mov     edi, offset bytes
        mov     ecx, 0x10000
        mov     al, 0x5a
        INTERRUPTED rep stosb
        EXPECT_IRQS(1)
        EXPECT_IRQ(0, 0x70, 1b)
        mov     rax, [irq_flags]
        and     eax, RF
        EXPECT_REG(rax, RF)
        EXPECT_REG(rcx, 0)
        EXPECT_REG(rdi, offset bytes + 0x10000)

        CASE "REP MOVS likewise"
        mov     esi, offset bytes
        mov     edi, offset bytes2
        mov     ecx, 0x10000
        INTERRUPTED rep movsb
        EXPECT_IRQS(1)
        EXPECT_IRQ(0, 0x70, 1b)
        mov     rax, [irq_flags]
        and     eax, RF
        EXPECT_REG(rax, RF)

        CASE "REPE CMPS likewise, and both copies are the same"
        mov     esi, offset bytes
        mov     edi, offset bytes2
        mov     ecx, 0x10000
        INTERRUPTED repe cmpsb
        EXPECT_IRQ(0, 0x70, 1b)
        EXPECT_REG(rcx, 0)

        CASE "REPNE SCAS likewise"
        mov     edi, offset bytes
        mov     ecx, 0x10000
        xor     eax, eax
        INTERRUPTED repne scasb
        EXPECT_IRQ(0, 0x70, 1b)
        EXPECT_REG(rcx, 0)

        CASE "REP OUTS likewise"
        mov     esi, offset bytes
        mov     ecx, 0x10000
        mov     edx, 0x80
        INTERRUPTED rep outsb
        EXPECT_IRQ(0, 0x70, 1b)
        mov     rax, [irq_flags]
        and     eax, RF
        EXPECT_REG(rax, RF)

        CASE "REP: a page fault leaves the registers at the iteration that failed"
        mov     qword ptr [x_hook], 0
        mov     dword ptr [test_pt], offset page_a + P + W
        mov     rax, cr3
        mov     cr3, rax
        mov     edi, TEST_AREA + 4090
        mov     ecx, 100
        CATCH   rep stosb
        EXPECT_FAULT(PF, 2)
        EXPECT([x_cr2], TEST_AREA + 4096)
        EXPECT_REG(rcx, 94)
        EXPECT_REG(rdi, TEST_AREA + 4096)

        CASE "REP with a count of 0 touches nothing"
        xor     ecx, ecx
        CATCH   rep stosb
        EXPECT_NONE
        ret

log_nmi:
        inc     qword ptr [nmi_depth]
        mov     rax, [nmi_depth]
        cmp     rax, [nmi_deepest]
        jbe     1f
        mov     [nmi_deepest], rax
1:      call    log_irq
        cmp     qword ptr [nmi_again], 0
        je      2f
        dec     qword ptr [nmi_again]
        push    r15
        APIC_WRITE ICR, ICR_NMI
        pop     r15
        nop
2:      dec     qword ptr [nmi_depth]
        mov     eax, 1
        ret
