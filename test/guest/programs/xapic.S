/*
 * The local APIC's registers in memory: SDM volume 3A, "Local APIC", 12.4, "Local Vector Table", 12.5.1, "Issuing
 * Interprocessor Interrupts", 12.6, "Handling Interrupts", 12.8.
 */
#include "long.h"

#define MASKED 0x10000
#define LEVEL 0x8000
#define ASSERT 0x4000
#define LOGICAL 0x800

        .macro APIC_WRITE offset, value
        mov     r15d, LAPIC + \offset
        mov     dword ptr [r15], \value
        .endm

        .macro TAKE
        sti
        nop
        nop
        cli
        .endm

#define EXPECT_APIC(offset, value) \
        mov r15d, LAPIC + offset; mov eax, [r15]; mov edx, value; EXPECT_REG(rax, rdx)
#define EXPECT_IRQS(n) EXPECT([irq_count], n)

        .bss
        .balign 8
irq_count:      .skip 8
irq_vector:     .skip 8

        .text
        .code64
log_irq:
        inc     qword ptr [irq_count]
        mov     rax, [rcx + FRAME_VECTOR]
        mov     [irq_vector], rax
        push    r15
        APIC_WRITE 0xb0, 0
        pop     r15
        mov     eax, 1
        ret

main:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        mov     qword ptr [x_hook], offset log_irq
        mov     ecx, 0x1b
        rdmsr
        and     eax, ~0x800             /* off and on: the values of a reset */
        wrmsr
        or      eax, 0x800
        wrmsr

        CASE "12.4.7.1: after reset the registers are 0, entries are masked, SVR is FFH, DFR all ones"
        .irp    offset, 0x80, 0xa0, 0xd0, 0x280, 0x300, 0x310, 0x380, 0x390, 0x3e0
        EXPECT_APIC(\offset, 0)
        .endr
        .irp    offset, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370
        EXPECT_APIC(\offset, MASKED)
        .endr
        EXPECT_APIC(0xf0, 0xff)
        EXPECT_APIC(0xe0, 0xffffffff)

        CASE "12.5.1: while SVR has disabled the APIC, mask bits cannot be cleared and fixed interrupts are not taken"
        APIC_WRITE 0x320, 0x55
        EXPECT_APIC(0x320, MASKED + 0x55)
        APIC_WRITE 0x300, 0x44051
        TAKE
        EXPECT_IRQS(0)
        APIC_WRITE 0xf0, 0x1ef
        APIC_WRITE 0x320, MASKED

        CASE "12.6.2.2: LDR has 8 bits and DFR 4; the flat model compares bit by bit"
        APIC_WRITE 0xd0, 0x12345678
        EXPECT_APIC(0xd0, 0x12000000)
        APIC_WRITE 0xe0, 0x0fffffff
        EXPECT_APIC(0xe0, 0x0fffffff)
        APIC_WRITE 0xe0, 0xf0000000
        EXPECT_APIC(0xe0, 0xffffffff)
        APIC_WRITE 0x310, 0x02000000
        APIC_WRITE 0x300, ASSERT + LOGICAL + 0x51
        TAKE
        EXPECT_IRQS(1)
        APIC_WRITE 0x310, 0xed000000
        APIC_WRITE 0x300, ASSERT + LOGICAL + 0x51
        TAKE
        EXPECT_IRQS(1)

        CASE "12.6.2.2: the cluster model: the same cluster and a common bit; cluster 15 is all"
        mov     qword ptr [irq_count], 0
        APIC_WRITE 0xe0, 0x0fffffff
        APIC_WRITE 0xd0, 0x32000000
        APIC_WRITE 0x310, 0x33000000
        APIC_WRITE 0x300, ASSERT + LOGICAL + 0x51
        TAKE
        EXPECT_IRQS(1)
        APIC_WRITE 0x310, 0x22000000
        APIC_WRITE 0x300, ASSERT + LOGICAL + 0x51
        TAKE
        EXPECT_IRQS(1)
        APIC_WRITE 0x310, 0x31000000
        APIC_WRITE 0x300, ASSERT + LOGICAL + 0x51
        TAKE
        EXPECT_IRQS(1)
        APIC_WRITE 0xe0, 0xffffffff

        CASE "12.6.1: physical FFH is everybody, the own ID is this one, another ID nobody"
        mov     qword ptr [irq_count], 0
        APIC_WRITE 0x310, 0xff000000
        APIC_WRITE 0x300, ASSERT + 0x52
        TAKE
        EXPECT_IRQS(1)
        APIC_WRITE 0x310, 0
        APIC_WRITE 0x300, ASSERT + 0x52
        TAKE
        EXPECT_IRQS(2)
        APIC_WRITE 0x310, 0x05000000
        APIC_WRITE 0x300, ASSERT + 0x52
        TAKE
        EXPECT_IRQS(2)

        CASE "12.6.1: all excluding self is nobody here"
        APIC_WRITE 0x310, 0
        APIC_WRITE 0x300, 0xc0000 + ASSERT + 0x52
        TAKE
        EXPECT_IRQS(2)

        CASE "12.8.4: the same vector twice is one interrupt in the IRR"
        mov     qword ptr [irq_count], 0
        APIC_WRITE 0x300, 0x40000 + ASSERT + 0x53
        APIC_WRITE 0x300, 0x40000 + ASSERT + 0x53
        EXPECT_APIC(0x220, 1 << (0x53 & 31))
        TAKE
        EXPECT_IRQS(1)

        CASE "12.8.3.1: PPR is the higher of TPR and what is in service"
        APIC_WRITE 0x80, 0x34
        EXPECT_APIC(0xa0, 0x34)
        mov     rax, cr8
        EXPECT_REG(rax, 3)
        APIC_WRITE 0x80, 0

        CASE "EOI with nothing in service does nothing"
        APIC_WRITE 0xb0, 0
        EXPECT_APIC(0x100, 0)

        CASE "read-only registers keep their values"
        mov     r15d, LAPIC + 0x30
        mov     ebx, [r15]
        APIC_WRITE 0x30, 0
        APIC_WRITE 0xa0, 0x77
        APIC_WRITE 0x100, -1
        APIC_WRITE 0x200, -1
        APIC_WRITE 0x390, 0x77
        mov     r15d, LAPIC + 0x30
        mov     eax, [r15]
        EXPECT_REG(rax, rbx)
        EXPECT_APIC(0xa0, 0)
        EXPECT_APIC(0x100, 0)
        EXPECT_APIC(0x200, 0)
        EXPECT_APIC(0x390, 0)

        CASE "12.5.3: a vector below 16 and a reserved register are errors, shown after a write to ESR"
        APIC_WRITE 0x280, 0
        APIC_WRITE 0x300, 0x40000 + ASSERT + 15
        EXPECT_APIC(0x280, 0)
        APIC_WRITE 0x280, 0
        EXPECT_APIC(0x280, 0x20)
        mov     r15d, LAPIC + 0x40
        mov     eax, [r15]
        APIC_WRITE 0x280, 0
        EXPECT_APIC(0x280, 0x80)
        APIC_WRITE 0x280, 0
        EXPECT_APIC(0x280, 0)
        ret
