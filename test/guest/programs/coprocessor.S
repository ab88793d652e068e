/*
 * Floating-point errors with CR0.NE = 0, as PCs reported them: FERR#, IRQ 13, port 0xf0 and IGNNE#. SDM volume 1,
 * "MS-DOS* Compatibility Sub-mode", 8.7.2, and appendix D.
 */
#include "protected.h"

#define MF 16
#define TIMER 0x60
#define IRQ13 0x75
#define NE 0x20
#define ES 0x80
#define LAPIC 0xfee00000
#define IF 0x200

        .macro PORT_OUT port, value
        mov     al, \value
        out     \port, al
        .endm

        /* Makes a division by zero pend: unmasked, noticed by the next instruction that waits. */
        .macro DIVIDE_BY_ZERO
        fninit
        fldcw   [control]
        fld1
        fldz
        mov     dword ptr [irq_count], 0
        fdivp   st(1), st
        .endm

#define EXPECT_IRQS(n) EXPECT([irq_count], n)

        .bss
        .balign 4
irq_count:      .skip 4
irq_eip:        .skip 4
timer_count:    .skip 4
clears:         .skip 4
word:           .skip 4

        .data
control:        .long 0x37b             /* all masked but ZE */

        .text
        .code32
/* The handler: port 0xf0, the error cleared unless [clears] is 0, EOI. */
irq13:
        push    eax
        inc     dword ptr [irq_count]
        mov     eax, [esp + 4]
        mov     [irq_eip], eax
        out     0xf0, al
        cmp     dword ptr [clears], 0
        je      1f
        fnclex
1:      PORT_OUT 0xa0, 0x20
        PORT_OUT 0x20, 0x20
        pop     eax
        iretd

/* Another interrupt, which lets IRQ 13 come. */
timer:
        push    eax
        inc     dword ptr [timer_count]
        PORT_OUT 0xa1, 0xdf
        mov     eax, LAPIC
        mov     dword ptr [eax + 0xb0], 0
        pop     eax
        iretd

        .macro GATE_TO vector, handler
        mov     eax, offset \handler
        mov     [idt + \vector * 8], ax
        shr     eax, 16
        mov     [idt + \vector * 8 + 6], ax
        .endm

main:
        GATE_TO IRQ13, irq13
        GATE_TO TIMER, timer
        PORT_OUT 0x20, 0x11
        PORT_OUT 0x21, 0x68
        PORT_OUT 0x21, 0x04
        PORT_OUT 0x21, 0x01
        PORT_OUT 0xa0, 0x11
        PORT_OUT 0xa1, 0x70
        PORT_OUT 0xa1, 0x02
        PORT_OUT 0xa1, 0x01
        PORT_OUT 0x21, 0xfb             /* the slave */
        PORT_OUT 0xa1, 0xdf             /* IRQ 13 */
        mov     eax, LAPIC
        mov     dword ptr [eax + 0xf0], 0x1ff
        mov     dword ptr [eax + 0x350], 0x700
        mov     dword ptr [eax + 0x80], 0
        mov     dword ptr [clears], 1

        CASE "with CR0.NE = 1 a pending error is #MF, and IRQ 13 is not requested"
        mov     eax, cr0
        or      eax, NE
        and     eax, ~0xc               /* EM and TS */
        mov     cr0, eax
        DIVIDE_BY_ZERO
        CATCH   fwait
        EXPECT_FAULT(MF, 0)
        fnclex
        PORT_OUT 0xa0, 0x0a
        in      al, 0xa0
        and     eax, 0x20
        EXPECT_REG(eax, 0)

        mov     eax, cr0
        and     eax, ~NE
        mov     cr0, eax
        mov     dword ptr [x_vector], NONE

        CASE "8.7.2: with CR0.NE = 0 the next instruction that waits requests IRQ 13"
        sti
        DIVIDE_BY_ZERO
1:      fwait
        nop
        nop
        cli
        EXPECT_IRQS(1)
        EXPECT_NONE

        CASE "the instruction that waits has not been executed yet: EIP is its own"
        EXPECT([irq_eip], offset 1b)

        CASE "any instruction but the control instructions without wait is one that waits"
        sti
        DIVIDE_BY_ZERO
1:      fld1
        nop
        nop
        cli
        EXPECT_IRQS(1)
        EXPECT([irq_eip], offset 1b)

        CASE "FNSTSW, FNSTCW, FNCLEX and FNINIT do not wait"
        sti
        DIVIDE_BY_ZERO
        fnstsw  ax
        fnstcw  [word]
        nop
        fnclex
        fwait
        nop
        cli
        EXPECT_IRQS(0)
        and     eax, ES + 4
        EXPECT_REG(eax, ES + 4)

        CASE "the error is there once: after FNCLEX in the handler the program goes on"
        sti
        DIVIDE_BY_ZERO
        fwait
        nop
        fwait
        nop
        cli
        EXPECT_IRQS(1)
        fnstsw  ax
        and     eax, ES
        EXPECT_REG(eax, 0)

        CASE "a handler that leaves the error: port 0xf0 has asserted IGNNE#, and instructions go on in spite of it"
        mov     dword ptr [clears], 0
        sti
        DIVIDE_BY_ZERO
        fwait
        nop
        fld1
        fwait
        nop
        cli
        EXPECT_IRQS(1)
        fnstsw  ax
        and     eax, ES
        EXPECT_REG(eax, ES)

        CASE "the next error, after the first was cleared, requests again"
        mov     dword ptr [clears], 1
        sti
        DIVIDE_BY_ZERO
        fwait
        nop
        nop
        cli
        EXPECT_IRQS(1)

        CASE "while IRQ 13 is masked the processor waits for another interrupt"
        PORT_OUT 0xa1, 0xff
        mov     dword ptr [timer_count], 0
        mov     eax, LAPIC
        mov     dword ptr [eax + 0x3e0], 0xb
        mov     dword ptr [eax + 0x320], TIMER
        DIVIDE_BY_ZERO
        mov     dword ptr [eax + 0x380], 20000
        sti
1:      fwait
        cli
        EXPECT([timer_count], 1)
        EXPECT_IRQS(1)
        EXPECT([irq_eip], offset 1b)

        CASE "MMX instructions wait as well"
        sti
        DIVIDE_BY_ZERO
1:      paddb   mm0, mm1
        nop
        nop
        cli
        emms
        EXPECT_IRQS(1)
        EXPECT([irq_eip], offset 1b)
        ret
