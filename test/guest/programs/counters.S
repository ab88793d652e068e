/* Performance-monitoring counters and their interrupt. SDM volume 3B, chapter 21. */
#include "long.h"

#define IA32_PMC0 0xc1
#define IA32_PERFEVTSEL0 0x186
#define IA32_FIXED_CTR0 0x309
#define IA32_FIXED_CTR_CTRL 0x38d
#define GLOBAL_STATUS 0x38e
#define GLOBAL_CTRL 0x38f
#define GLOBAL_STATUS_RESET 0x390
#define SVR LAPIC + 0xf0
#define LVT_PERFORMANCE LAPIC + 0x340
#define NMI 0x400
#define MASKED 0x10000
/* Instructions retired; OS and USR; INT; EN. */
#define COUNT_OS 0x4200c0
#define COUNT_USR 0x4100c0
#define INTERRUPT_OS 0x5200c0

        .macro APIC_WRITE register, value
        mov     r15d, \register
        mov     dword ptr [r15], \value
        .endm

        .macro WRITE_MSR msr, low, high=0
        mov     ecx, \msr
        mov     eax, \low
        mov     edx, \high
        wrmsr
        .endm

        .macro READ_MSR msr
        mov     ecx, \msr
        rdmsr
        shl     rdx, 32
        or      rax, rdx
        .endm

        .bss
        .balign 8
interrupts:     .skip 8
vector:         .skip 8
taken_at:            .skip 8

        .text
        .code64
log_interrupt:
        inc     qword ptr [interrupts]
        mov     rax, [rcx + FRAME_VECTOR]
        mov     [vector], rax
        mov     rax, [rcx + FRAME_RIP]
        mov     [taken_at], rax
        mov     eax, 1
        ret

main:
        APIC_WRITE SVR, 0x1ff

        CASE "21.2.2: fixed counter 0 counts the instructions between two settings of its enable bit"
        WRITE_MSR IA32_FIXED_CTR_CTRL, 3
        WRITE_MSR GLOBAL_CTRL, 0, 1
        nop
        nop
        WRITE_MSR GLOBAL_CTRL, 0
        READ_MSR IA32_FIXED_CTR0
        /* The first WRMSR, two NOPs and three MOVs; the last WRMSR stops it before it retires. */
        EXPECT_REG(rax, 6)

        CASE "21.2.1.1: OS and USR say at which privilege levels a counter counts"
        WRITE_MSR IA32_PERFEVTSEL0, COUNT_USR
        WRITE_MSR IA32_PERFEVTSEL0 + 1, COUNT_OS
        WRITE_MSR GLOBAL_CTRL, 3
        nop
        ENTER_USER
        nop
        nop
        nop
        LEAVE_USER
        WRITE_MSR GLOBAL_CTRL, 0
        READ_MSR IA32_PMC0
        mov     rbx, rax
        READ_MSR IA32_PMC0 + 1
        /* The three and INT 0x80. */
        EXPECT_REG(rbx, 4)
        cmp     rax, 10
        seta    al
        movzx   rax, al
        EXPECT_REG(rax, 1)
        WRITE_MSR IA32_PERFEVTSEL0, 0
        WRITE_MSR IA32_PERFEVTSEL0 + 1, 0

        CASE "21.6.3: an overflow interrupts after the instruction that it counted, and its LVT entry is masked"
        mov     qword ptr [x_hook], offset log_interrupt
        APIC_WRITE LVT_PERFORMANCE, NMI
        mov     qword ptr [interrupts], 0
        WRITE_MSR IA32_PMC0, -8
        WRITE_MSR IA32_PERFEVTSEL0, INTERRUPT_OS
        WRITE_MSR GLOBAL_CTRL, 1
        .rept   7
        nop
        .endr
1:      nop
        nop
        WRITE_MSR GLOBAL_CTRL, 0
        EXPECT([interrupts], 1)
        EXPECT([vector], 2)
        mov     rax, offset 1b
        EXPECT([taken_at], rax)
        READ_MSR GLOBAL_STATUS
        EXPECT_REG(rax, 1)
        mov     eax, [LVT_PERFORMANCE]
        EXPECT_REG(rax, MASKED + NMI)

        CASE "21.2.2: IA32_PERF_GLOBAL_STATUS_RESET clears the overflow"
        WRITE_MSR GLOBAL_STATUS_RESET, 1
        READ_MSR GLOBAL_STATUS
        EXPECT_REG(rax, 0)

        END_TESTS
