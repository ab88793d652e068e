/*
 * The local APIC's registers as MSRs: SDM volume 3A, "Extended XAPIC (x2APIC)", 12.12, and "Local APIC Status and
 * Location", 12.4.4. The program begins and ends in xAPIC mode.
 */
#include "long.h"

#define APIC_BASE 0x1b
#define BSP 0x100
#define EXTD 0x400
#define EN 0x800

#define ID 0x802
#define VERSION 0x803
#define TPR 0x808
#define PPR 0x80a
#define EOI_MSR 0x80b
#define LDR 0x80d
#define DFR 0x80e
#define SVR 0x80f
#define ISR 0x810
#define TMR 0x818
#define IRR 0x820
#define ESR 0x828
#define ICR 0x830
#define LVT_TIMER 0x832
#define LVT_LINT0 0x835
#define LVT_ERROR 0x837
#define INITIAL_COUNT 0x838
#define CURRENT_COUNT 0x839
#define DIVIDE 0x83e
#define SELF_IPI 0x83f

#define ICR_SELF 0x40000
#define ICR_ALL 0x80000
#define ICR_OTHERS 0xc0000
#define ICR_LOGICAL 0x800
#define ICR_ASSERT 0x4000
#define ICR_NMI 0x400
#define MASKED 0x10000

        .macro MSR_WRITE register, low, high=0
        mov     ecx, \register
        mov     eax, \low
        mov     edx, \high
        wrmsr
        .endm

        /* RAX is the 64-bit value. */
        .macro MSR_READ register
        mov     ecx, \register
        rdmsr
        shl     rdx, 32
        or      rax, rdx
        .endm

        .macro MODE bits
        mov     ecx, APIC_BASE
        rdmsr
        and     eax, ~(EXTD + EN)
        or      eax, \bits
        wrmsr
        .endm

        .macro REFUSES_MODE bits
        mov     ecx, APIC_BASE
        rdmsr
        and     eax, ~(EXTD + EN)
        or      eax, \bits
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)
        .endm

        .macro REFUSES_WRITE register, low, high=0
        mov     ecx, \register
        mov     eax, \low
        mov     edx, \high
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)
        .endm

        .macro REFUSES_READ register
        mov     ecx, \register
        CATCH   rdmsr
        EXPECT_FAULT(GP, 0)
        .endm

#define EXPECT_MSR(register, value) \
        mov ecx, register; rdmsr; shl rdx, 32; or rax, rdx; mov edx, value; EXPECT_REG(rax, rdx)
#define EXPECT_IRQS(n) EXPECT([irq_count], n)

        .bss
        .balign 8
irq_count:      .skip 8
irq_vector:     .skip 8 * 16

        .text
        .code64
log_irq:
        push    rdx
        mov     rdx, [irq_count]
        mov     rax, [rcx + FRAME_VECTOR]
        mov     [irq_vector + rdx * 8], rax
        inc     qword ptr [irq_count]
        cmp     eax, GP
        je      1f
        cmp     eax, 2
        je      2f
        push    rcx
        MSR_WRITE EOI_MSR, 0
        pop     rcx
2:      mov     eax, 1
        pop     rdx
        ret
1:      xor     eax, eax
        pop     rdx
        ret

main:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al

        CASE "CPUID.01H:ECX[21] offers x2APIC"
        mov     eax, 1
        cpuid
        shr     ecx, 21
        and     ecx, 1
        mov     ebx, ecx
        EXPECT_REG(rcx, 1)
        test    ebx, ebx
        jnz     1f
        ret                             /* a processor without x2APIC says nothing about the rest */
1:

        CASE "12.12.1.2: in xAPIC mode the MSRs 800H to 8FFH are #GP(0)"
        REFUSES_READ ID
        REFUSES_READ TPR
        REFUSES_WRITE EOI_MSR, 0
        REFUSES_READ 0x8ff

        CASE "12.12.5: from xAPIC mode EXTD without EN is #GP(0), and reserved bits of IA32_APIC_BASE are"
        REFUSES_MODE EXTD
        mov     ecx, APIC_BASE
        rdmsr
        or      eax, 1
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)
        mov     ecx, APIC_BASE
        rdmsr
        or      edx, 0x80000000
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)

        CASE "12.12.5: a disabled APIC does not become an x2APIC"
        MODE    0
        REFUSES_MODE EXTD + EN
        REFUSES_MODE EXTD

        CASE "12.4.3: CPUID.01H:EDX[9] is 0 while the APIC is disabled"
        mov     eax, 1
        cpuid
        and     edx, 0x200
        EXPECT_REG(rdx, 0)
        MODE    EN
        mov     eax, 1
        cpuid
        and     edx, 0x200
        EXPECT_REG(rdx, 0x200)

        CASE "12.12.5.1: what xAPIC mode has set stays in x2APIC mode"
        mov     r15d, LAPIC
        mov     dword ptr [r15 + 0xf0], 0x1ef
        mov     dword ptr [r15 + 0x80], 0x35
        mov     dword ptr [r15 + 0x320], MASKED + 0x66
        mov     dword ptr [r15 + 0x3e0], 0xb
        mov     dword ptr [r15 + 0xd0], 0x7f000000
        mov     dword ptr [r15 + 0x310], 0x55000000
        MODE    EXTD + EN
        EXPECT_MSR(SVR, 0x1ef)
        EXPECT_MSR(TPR, 0x35)
        EXPECT_MSR(LVT_TIMER, MASKED + 0x66)
        EXPECT_MSR(DIVIDE, 0xb)

        CASE "12.12.5.1: the upper half of ICR does not stay"
        EXPECT_MSR(ICR, 0)

        CASE "IA32_APIC_BASE shows EXTD, EN and BSP"
        MSR_READ APIC_BASE
        and     eax, EXTD + EN + BSP
        EXPECT_REG(rax, EXTD + EN + BSP)

        CASE "12.12.5: from x2APIC mode neither xAPIC mode nor EXTD alone can be chosen; writing the same is fine"
        REFUSES_MODE EN
        REFUSES_MODE EXTD
        mov     ecx, APIC_BASE
        rdmsr
        CATCH   wrmsr
        EXPECT_NONE

        CASE "12.12.2: the registers are not in memory"
        mov     eax, [r15 + 0x30]
        mov     ebx, 0xffffffff
        EXPECT_REG(rax, rbx)
        mov     dword ptr [r15 + 0x80], 0x77
        EXPECT_MSR(TPR, 0x35)

        CASE "12.12.10.2: the logical ID is derived: the cluster is ID[31:4], the bit 1 << ID[3:0]"
        MSR_READ ID
        mov     ebx, eax
        mov     ecx, eax
        and     ecx, 15
        mov     edx, 1
        shl     edx, cl
        shr     ebx, 4
        shl     ebx, 16
        or      ebx, edx
        MSR_READ LDR
        EXPECT_REG(rax, rbx)

        CASE "table 12-6: ID, version, LDR, PPR, ISR, TMR, IRR and current count are read-only"
        .irp    register, ID, VERSION, LDR, PPR, ISR, ISR + 7, TMR, TMR + 7, IRR, IRR + 7, CURRENT_COUNT
        MSR_READ \register
        REFUSES_WRITE \register, 0
        .endr

        CASE "table 12-6: EOI and SELF IPI are write-only"
        REFUSES_READ EOI_MSR
        REFUSES_READ SELF_IPI

        CASE "table 12-6: DFR, the upper ICR and reserved addresses are #GP(0)"
        .irp    register, 0x800, 0x801, 0x804, 0x809, 0x80c, DFR, 0x829, 0x82e, 0x831, 0x83a, 0x83d, 0x840, 0x8ff
        REFUSES_READ \register
        REFUSES_WRITE \register, 0
        .endr

        CASE "12.12.1.3: reserved bits are #GP(0)"
        REFUSES_WRITE TPR, 0x100
        REFUSES_WRITE TPR, 0, 1
        REFUSES_WRITE EOI_MSR, 1
        REFUSES_WRITE ESR, 1
        REFUSES_WRITE SVR, 0x2000
        REFUSES_WRITE SVR, 0x1ff, 1
        REFUSES_WRITE LVT_TIMER, 0x100
        REFUSES_WRITE LVT_TIMER, 0x80000
        REFUSES_WRITE LVT_LINT0, 0x20000
        REFUSES_WRITE LVT_ERROR, 0x400
        REFUSES_WRITE DIVIDE, 4
        REFUSES_WRITE DIVIDE, 0x10
        REFUSES_WRITE INITIAL_COUNT, 0, 1
        REFUSES_WRITE SELF_IPI, 0x100
        REFUSES_WRITE ICR, 0x1000
        REFUSES_WRITE ICR, 0x2000
        REFUSES_WRITE ICR, 0x10000
        REFUSES_WRITE ICR, 0x100000

        CASE "a write that is refused changes nothing"
        EXPECT_MSR(SVR, 0x1ef)
        EXPECT_MSR(TPR, 0x35)

        CASE "TPR[7:4] is CR8, and MOV to CR8 clears TPR[3:0]"
        mov     rax, cr8
        EXPECT_REG(rax, 3)
        mov     eax, 9
        mov     cr8, rax
        EXPECT_MSR(TPR, 0x90)
        EXPECT_MSR(PPR, 0x90)
        MSR_WRITE TPR, 0
        mov     rax, cr8
        EXPECT_REG(rax, 0)

        mov     qword ptr [x_hook], offset log_irq

        CASE "12.12.11: SELF IPI requests an interrupt, in one write"
        MSR_WRITE SELF_IPI, 0x51
        MSR_READ IRR + 2
        EXPECT_REG(rax, 1 << (0x51 & 31))
        sti
        nop
        cli
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 0x51)
        EXPECT_MSR(IRR + 2, 0)

        CASE "12.12.9: ICR is one MSR: a write sends, to the ID in its upper half"
        mov     qword ptr [irq_count], 0
        MSR_READ ID
        mov     edx, eax
        mov     eax, ICR_ASSERT + 0x52
        mov     ecx, ICR
        wrmsr
        sti
        nop
        cli
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 0x52)

        CASE "12.12.9: ICR reads as it was written"
        MSR_READ ID
        mov     ebx, eax
        shl     rbx, 32
        or      rbx, ICR_ASSERT + 0x52
        MSR_READ ICR
        EXPECT_REG(rax, rbx)

        CASE "12.12.9: to another ID nothing comes, to FFFFFFFFH it does"
        mov     qword ptr [irq_count], 0
        MSR_WRITE ICR, ICR_ASSERT + 0x53, 0xff
        sti
        nop
        cli
        EXPECT_IRQS(0)
        MSR_WRITE ICR, ICR_ASSERT + 0x53, 0xffffffff
        sti
        nop
        cli
        EXPECT_IRQS(1)

        CASE "12.12.10: a logical destination is a cluster and a set of its members"
        mov     qword ptr [irq_count], 0
        MSR_READ LDR
        mov     edx, eax
        mov     eax, ICR_ASSERT + ICR_LOGICAL + 0x54
        mov     ecx, ICR
        wrmsr
        sti
        nop
        cli
        EXPECT_IRQS(1)
        MSR_READ LDR
        mov     edx, eax
        or      edx, 0xffff
        mov     eax, ICR_ASSERT + ICR_LOGICAL + 0x55
        mov     ecx, ICR
        wrmsr
        sti
        nop
        cli
        EXPECT_IRQS(2)
        MSR_READ LDR
        lea     edx, [eax + 0x10000]
        mov     eax, ICR_ASSERT + ICR_LOGICAL + 0x56
        mov     ecx, ICR
        wrmsr
        sti
        nop
        cli
        EXPECT_IRQS(2)

        CASE "the shorthands self and all need no destination"
        mov     qword ptr [irq_count], 0
        MSR_WRITE ICR, ICR_SELF + ICR_ASSERT + 0x57, 0x1234
        MSR_WRITE ICR, ICR_ALL + ICR_ASSERT + 0x48, 0x1234
        sti
        nop
        cli
        EXPECT_IRQS(2)
        EXPECT([irq_vector], 0x57)
        EXPECT([irq_vector + 8], 0x48)

        CASE "12.6.1: all excluding self is nobody here, whatever the destination field says"
        mov     qword ptr [irq_count], 0
        MSR_READ ID
        mov     edx, eax
        mov     eax, ICR_OTHERS + ICR_ASSERT + 0x49
        mov     ecx, ICR
        wrmsr
        sti
        nop
        cli
        EXPECT_IRQS(0)

        CASE "an NMI through ICR"
        mov     qword ptr [irq_count], 0
        MSR_READ ID
        mov     edx, eax
        mov     eax, ICR_ASSERT + ICR_NMI
        mov     ecx, ICR
        wrmsr
        nop
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 2)

        CASE "12.12.8: a vector below 16 is an error, told in ESR after a write of 0 to it"
        mov     qword ptr [irq_count], 0
        MSR_WRITE ESR, 0
        MSR_WRITE SELF_IPI, 5
        MSR_WRITE ESR, 0
        EXPECT_MSR(ESR, 0x20)
        MSR_WRITE ESR, 0
        EXPECT_MSR(ESR, 0)
        MSR_WRITE ICR, ICR_SELF + ICR_ASSERT + 15
        MSR_WRITE ESR, 0
        EXPECT_MSR(ESR, 0x20)
        MSR_WRITE ESR, 0
        EXPECT_IRQS(0)

        CASE "12.5.3: an unmasked error entry interrupts"
        MSR_WRITE LVT_ERROR, 0x5e
        MSR_WRITE SELF_IPI, 5
        sti
        nop
        cli
        MSR_WRITE LVT_ERROR, MASKED
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 0x5e)

        CASE "12.8.4: in service until EOI: what is of its class or lower waits, ISR and PPR show it"
        mov     qword ptr [irq_count], 0
        mov     qword ptr [x_hook], offset log_without_eoi
        MSR_WRITE SELF_IPI, 0x61
        sti
        nop
        cli
        EXPECT_MSR(ISR + 3, 2)
        EXPECT_MSR(PPR, 0x60)
        MSR_WRITE SELF_IPI, 0x6f
        MSR_WRITE SELF_IPI, 0x70
        sti
        nop
        nop
        cli
        EXPECT_IRQS(2)
        EXPECT([irq_vector + 8], 0x70)
        EXPECT_MSR(IRR + 3, 0x8000)
        MSR_WRITE EOI_MSR, 0
        EXPECT_MSR(PPR, 0x60)
        MSR_WRITE EOI_MSR, 0
        EXPECT_MSR(PPR, 0)
        sti
        nop
        cli
        EXPECT_IRQS(3)
        MSR_WRITE EOI_MSR, 0
        mov     qword ptr [x_hook], offset log_irq

        CASE "12.5.4: the timer, by MSRs"
        mov     qword ptr [irq_count], 0
        MSR_WRITE LVT_TIMER, 0x62
        MSR_WRITE INITIAL_COUNT, 1000
        MSR_READ CURRENT_COUNT
        dec     eax
        cmp     eax, 1000
        sbb     eax, eax
        and     eax, 1
        EXPECT_REG(rax, 1)
        sti
        hlt
        cli
        EXPECT_IRQS(1)
        EXPECT([irq_vector], 0x62)
        EXPECT_MSR(CURRENT_COUNT, 0)

        CASE "12.4.7.2: an APIC that is disabled by SVR masks its entries and they stay masked"
        MSR_WRITE LVT_TIMER, 0x62
        MSR_WRITE SVR, 0xef
        EXPECT_MSR(LVT_TIMER, MASKED + 0x62)
        MSR_WRITE LVT_TIMER, 0x63
        EXPECT_MSR(LVT_TIMER, MASKED + 0x63)
        MSR_WRITE SVR, 0x1ef
        EXPECT_MSR(LVT_TIMER, MASKED + 0x63)

        CASE "12.12.5.1: from x2APIC mode to disabled; enabled again, the registers have their values of a reset"
        MSR_WRITE TPR, 0x40
        MODE    0
        REFUSES_READ TPR
        MODE    EN
        mov     r15d, LAPIC
        mov     eax, [r15 + 0xf0]
        EXPECT_REG(rax, 0xff)
        mov     eax, [r15 + 0x80]
        EXPECT_REG(rax, 0)
        mov     eax, [r15 + 0x320]
        EXPECT_REG(rax, MASKED)
        mov     eax, [r15 + 0xe0]
        mov     ebx, -1
        EXPECT_REG(rax, rbx)
        ret

log_without_eoi:
        push    rdx
        mov     rdx, [irq_count]
        mov     rax, [rcx + FRAME_VECTOR]
        mov     [irq_vector + rdx * 8], rax
        inc     qword ptr [irq_count]
        pop     rdx
        mov     eax, 1
        ret
