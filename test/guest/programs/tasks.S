/*
 * Hardware tasks in 32-bit protected mode with paging: SDM volume 3A, "Task Management", chapter 9. Each task has page
 * tables of its own, which differ in what they show at WINDOW. A task notes what it finds and goes back by JMP or IRET.
 */
#define WORD 4
#include "report.h"

#define CODE 0x08
#define DATA 0x10
#define MAIN_TSS 0x18
#define TASK 0x20
#define TASK16 0x28
#define GATE 0x30
#define CODE16 0x38
#define DEAD 0x40
#define LDT 0x48

#define WINDOW 0x800000
#define TS 8
#define NT 0x4000
#define VM 0x20000

#define TSS_LINK 0
#define TSS_ESP0 4
#define TSS_SS0 8
#define TSS_CR3 28
#define TSS_EIP 32
#define TSS_FLAGS 36
#define TSS_EAX 40
#define TSS_ESP 56
#define TSS_ES 72
#define TSS_CS 76
#define TSS_SS 80
#define TSS_DS 84
#define TSS_FS 88
#define TSS_GS 92
#define TSS_LDT 96
#define TSS_TRAP 100
#define TSS_MAP 102

        .bss
        .balign 4096
main_pages:     .skip 4096
task_pages:     .skip 4096
idt:            .skip 2048
main_tss:       .skip 104
task_tss:       .skip 104
dead_tss:       .skip 104
task16_tss:     .skip 44
                .balign 4
seen:           .skip 4 * 8
x_error:        .skip 4
x_site:         .skip 4
x_resume:       .skip 4
x_eip:          .skip 4
                .skip 4096
stack_end:      .skip 4096
task_stack_end: .skip 4096
fault_stack_end:

        .data
        .balign 8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_main:
        .quad   0
gdt_task:
        .quad   0
gdt_task16:
        .quad   0
gdt_gate:
        .quad   0x0000850000200000
gdt_code16:
        .quad   0x00009b000000ffff
gdt_dead:
        .quad   0
        .quad   0x0000820000000007
gdt_end:
gdtr:   .word   gdt_end - gdt - 1
        .long   gdt
idtr:   .word   2047
        .long   idt

        /* A descriptor of a TSS at `address`. */
        .macro TSS_IS slot, address, limit, access
        mov     eax, offset \address
        mov     word ptr [\slot], \limit
        mov     [\slot + 2], ax
        shr     eax, 16
        mov     [\slot + 4], al
        mov     byte ptr [\slot + 5], \access
        mov     byte ptr [\slot + 6], 0
        mov     [\slot + 7], ah
        .endm

        .macro GATE_IS vector, selector, offset, type
        mov     eax, offset \offset
        mov     [idt + \vector * 8], ax
        mov     word ptr [idt + \vector * 8 + 2], \selector
        mov     word ptr [idt + \vector * 8 + 4], \type << 8
        shr     eax, 16
        mov     [idt + \vector * 8 + 6], ax
        .endm

        /* The task starts at `entry` with its own stack. */
        .macro TASK_STARTS entry
        mov     dword ptr [task_tss + TSS_EIP], offset \entry
        mov     dword ptr [task_tss + TSS_ESP], offset task_stack_end
        mov     dword ptr [task_tss + TSS_FLAGS], 2
        .endm

        .macro FAR_JUMP selector
        .att_syntax
        ljmp    $\selector, $0
        .intel_syntax noprefix
        .endm

        .macro FAR_CALL selector
        .att_syntax
        lcall   $\selector, $0
        .intel_syntax noprefix
        .endm

        /* Executes `code`, whose exception `faulted` takes as a task: it goes on behind it. */
        .macro FAULTS code:vararg
        TASK_STARTS faulted
        mov     dword ptr [x_error], 0
        mov     dword ptr [x_site], offset .Lsite\@
        mov     dword ptr [x_resume], offset .Lafter\@
.Lsite\@:
        \code
.Lafter\@:
        .endm

#define EXPECT_FAULT(error) EXPECT([x_error], error); mov eax, [x_site]; EXPECT([x_eip], eax)

#include "flat32.h"

        .text
        .code32
        .globl  start
start:
        LOAD_SEGMENTS
        lidt    [idtr]
        /* 1. Page tables: 4 MiB pages to themselves, but at WINDOW the task sees the next ones. */
        xor     ecx, ecx
2:      mov     eax, ecx
        shl     eax, 22
        or      eax, 0x83
        mov     [main_pages + ecx * 4], eax
        mov     [task_pages + ecx * 4], eax
        inc     ecx
        cmp     ecx, 1024
        jne     2b
        add     dword ptr [task_pages + 8], 0x400000
        mov     dword ptr [WINDOW], 0x1111
        mov     dword ptr [WINDOW + 0x400000], 0x2222
        mov     eax, 0x10
        mov     cr4, eax
        mov     eax, offset main_pages
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80010000
        mov     cr0, eax
        /* 2. Tasks. */
        TSS_IS  gdt_main, main_tss, 103, 0x89
        TSS_IS  gdt_task, task_tss, 103, 0x89
        TSS_IS  gdt_task16, task16_tss, 43, 0x81
        TSS_IS  gdt_dead, dead_tss, 103, 0x89
        mov     eax, MAIN_TSS
        ltr     ax
        mov     dword ptr [main_tss + TSS_CR3], offset main_pages
        mov     eax, offset task_pages
        mov     [task_tss + TSS_CR3], eax
        mov     [dead_tss + TSS_CR3], eax
        .irp    tss, task_tss, dead_tss
        mov     word ptr [\tss + TSS_CS], CODE
        .irp    segment, TSS_ES, TSS_SS, TSS_DS, TSS_FS, TSS_GS
        mov     word ptr [\tss + \segment], DATA
        .endr
        mov     word ptr [\tss + TSS_SS0], DATA
        mov     dword ptr [\tss + TSS_ESP0], offset fault_stack_end
        .endr
        call    main
        END_TESTS

/* Notes what the task finds: window, back link, NT, TS, busy flags. */
look:
        mov     eax, [WINDOW]
        mov     [seen], eax
        movzx   eax, word ptr [task_tss + TSS_LINK]
        mov     [seen + 4], eax
        pushfd
        pop     eax
        and     eax, NT
        mov     [seen + 8], eax
        mov     eax, cr0
        and     eax, TS
        mov     [seen + 12], eax
        movzx   eax, byte ptr [gdt_main + 5]
        mov     [seen + 16], eax
        movzx   eax, byte ptr [gdt_task + 5]
        mov     [seen + 20], eax
        str     eax
        mov     [seen + 24], eax
        mov     [seen + 28], esp
        ret

jumped_to:
        call    look
        FAR_JUMP MAIN_TSS
        /* The task goes on here when it is entered again. */
        mov     dword ptr [seen], 0x3333
        FAR_JUMP MAIN_TSS

called:
        call    look
        iretd
        mov     dword ptr [seen], 0x4444
        iretd

/* An exception through a task gate: the error code is on the stack. */
faulted:
        call    look
        pop     dword ptr [x_error]
        mov     eax, [main_tss + TSS_EIP]
        mov     [x_eip], eax
        mov     eax, [x_resume]
        mov     [main_tss + TSS_EIP], eax
        iretd

/* #TS and #NP in the context of a task that cannot be entered: through an interrupt gate, on the stack of that task. */
entry_failed:
        pop     dword ptr [x_error]
        mov     eax, [esp]
        mov     [x_eip], eax
        str     eax
        mov     [seen], eax
        add     esp, 12
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        FAR_JUMP MAIN_TSS

/* The same through a task gate, which needs nothing of the task that could not be entered. */
entry_failed_task:
        pop     dword ptr [x_error]
        movzx   eax, word ptr [task_tss + TSS_LINK]
        mov     [seen], eax
        and     byte ptr [gdt_dead + 5], ~2
        FAR_JUMP MAIN_TSS

/* #DB of the T flag. */
debug_trap:
        mov     eax, dr6
        mov     [seen], eax
        mov     eax, [esp]
        mov     [x_eip], eax
        xor     eax, eax
        mov     dr6, eax
        iretd

/* From virtual-8086 mode. */
left_8086:
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        mov     eax, [esp + 8]
        and     eax, VM + 0x3000
        mov     [seen], eax
        FAR_JUMP MAIN_TSS

main:
        CASE "9.3: JMP saves the old task, loads the new one with its CR3, moves the busy flag and sets CR0.TS"
        TASK_STARTS jumped_to
        mov     word ptr [task_tss + TSS_LINK], 0x77
        clts
        mov     ebx, 0x1234
        FAR_JUMP TASK
        EXPECT_REG(ebx, 0x1234)
        EXPECT([seen], 0x2222)
        EXPECT([WINDOW], 0x1111)
        EXPECT([seen + 4], 0x77)
        EXPECT([seen + 8], 0)
        EXPECT([seen + 12], TS)
        EXPECT([seen + 16], 0x89)
        EXPECT([seen + 20], 0x8b)
        EXPECT([seen + 24], TASK)
        movzx   eax, byte ptr [gdt_main + 5]
        EXPECT_REG(eax, 0x8b)

        CASE "9.3: a task that is entered again goes on where it was"
        FAR_JUMP TASK
        EXPECT([seen], 0x3333)

        CASE "9.4: CALL links the tasks and sets NT, the old task stays busy; IRET goes back"
        TASK_STARTS called
        FAR_CALL TASK
        EXPECT([seen + 4], MAIN_TSS)
        EXPECT([seen + 8], NT)
        EXPECT([seen + 16], 0x8b)
        EXPECT([seen + 20], 0x8b)
        movzx   eax, byte ptr [gdt_task + 5]
        EXPECT_REG(eax, 0x89)
        mov     eax, [task_tss + TSS_FLAGS]
        and     eax, NT
        EXPECT_REG(eax, 0)
        FAR_CALL TASK
        EXPECT([seen], 0x4444)

        CASE "9.3: CALL through a task gate; its offset is not used"
        TASK_STARTS called
        FAR_CALL GATE
        EXPECT([seen + 24], TASK)

        CASE "9.3: INT n through a task gate"
        TASK_STARTS called
        GATE_IS 0x40, TASK, 0, 0x85
        int     0x40
        EXPECT([seen + 4], MAIN_TSS)
        EXPECT([seen + 28], offset task_stack_end - 4)

        CASE "7.12.2: an exception through a task gate has its error code on the new stack, the TSS the faulting address"
        GATE_IS 13, TASK, 0, 0x85
        mov     eax, 0x1230
        FAULTS  mov fs, eax
        EXPECT_FAULT(0x1230)
        EXPECT([seen + 28], offset task_stack_end - 8)

        CASE "table 9-1: a busy TSS is #GP with its selector, one that is not present #NP, one that is too short #TS"
        or      byte ptr [gdt_dead + 5], 2
        FAULTS  FAR_JUMP DEAD
        and     byte ptr [gdt_dead + 5], ~2
        EXPECT_FAULT(DEAD)
        GATE_IS 13, TASK, 0, 5
        GATE_IS 11, TASK, 0, 0x85
        and     byte ptr [gdt_dead + 5], 0x7f
        FAULTS  FAR_JUMP DEAD
        or      byte ptr [gdt_dead + 5], 0x80
        EXPECT_FAULT(DEAD)
        GATE_IS 11, TASK, 0, 5
        GATE_IS 10, TASK, 0, 0x85
        mov     word ptr [gdt_dead], 102
        FAULTS  FAR_JUMP DEAD
        mov     word ptr [gdt_dead], 103
        EXPECT_FAULT(DEAD)

        CASE "9.3: a data segment that cannot be loaded is #TS in the new task, before its first instruction"
        GATE_IS 10, CODE, entry_failed, 0x8e
        mov     dword ptr [dead_tss + TSS_EIP], 0x12345678
        mov     dword ptr [dead_tss + TSS_ESP], offset fault_stack_end
        mov     dword ptr [dead_tss + TSS_FLAGS], 2
        mov     word ptr [dead_tss + TSS_GS], TASK
        FAR_JUMP DEAD
        EXPECT([x_error], TASK)
        EXPECT([x_eip], 0x12345678)
        EXPECT([seen], DEAD)
        mov     word ptr [dead_tss + TSS_GS], DATA

        CASE "9.3: the T flag raises #DB with DR6.BT before the first instruction of the new task"
        GATE_IS 1, CODE, debug_trap, 0x8e
        TASK_STARTS called_quietly
        mov     word ptr [task_tss + TSS_TRAP], 1
        FAR_CALL TASK
        mov     word ptr [task_tss + TSS_TRAP], 0
        mov     eax, [seen]
        and     eax, 0xe00f
        EXPECT_REG(eax, 0x8000)
        EXPECT([x_eip], offset called_quietly)

        CASE "9.6: a 16-bit task, and back"
        mov     word ptr [task16_tss + 14], 0x7000
        mov     word ptr [task16_tss + 16], 2
        mov     word ptr [task16_tss + 18], 0x5678
        mov     word ptr [task16_tss + 26], 0x6ff0
        mov     word ptr [task16_tss + 34], DATA
        mov     word ptr [task16_tss + 36], CODE16
        mov     word ptr [task16_tss + 38], DATA
        mov     word ptr [task16_tss + 40], DATA
        mov     byte ptr [0x7000], 0x40         /* inc ax */
        mov     byte ptr [0x7001], 0xcf         /* iret */
        FAR_CALL TASK16
        movzx   eax, word ptr [task16_tss + 18]
        EXPECT_REG(eax, 0x5679)
        movzx   eax, word ptr [task16_tss + 14]
        EXPECT_REG(eax, 0x7002)
        movzx   eax, word ptr [task16_tss]
        EXPECT_REG(eax, MAIN_TSS)

        CASE "9.3: a task in virtual-8086 mode; an interrupt leaves it through its own ESP0"
        GATE_IS 0x41, CODE, left_8086, 0xee
        mov     dword ptr [dead_tss + TSS_FLAGS], 0x3002 + VM
        mov     dword ptr [dead_tss + TSS_EIP], 0x10
        mov     word ptr [dead_tss + TSS_CS], 0x701
        mov     word ptr [dead_tss + TSS_SS], 0x600
        mov     dword ptr [dead_tss + TSS_ESP], 0x100
        mov     word ptr [0x7020], 0x41cd       /* int 0x41 */
        or      dword ptr [task_pages], 4
        FAR_JUMP DEAD
        EXPECT([seen], VM + 0x3000)

        /* What is wrong with the task DEAD raises `vector`, in its context. */
        .macro ENTRY_FAILS vector
        mov     dword ptr [dead_tss + TSS_FLAGS], 2
        mov     dword ptr [dead_tss + TSS_EIP], offset jumped_to
        mov     dword ptr [dead_tss + TSS_ESP], offset fault_stack_end
        GATE_IS \vector, TASK, 0, 0x85
        TASK_STARTS entry_failed_task
        mov     dword ptr [x_error], -1
        FAR_JUMP DEAD
        GATE_IS \vector, TASK, 0, 5
        EXPECT([seen], DEAD)
        .endm

        CASE "table 9-1: the LDT of the new task: not in the GDT, not an LDT, not present: #TS with its selector"
        mov     word ptr [dead_tss + TSS_CS], CODE
        mov     word ptr [dead_tss + TSS_SS], DATA
        .irp    selector, LDT+4, DATA, 0x1000
        mov     word ptr [dead_tss + TSS_LDT], \selector
        ENTRY_FAILS 10
        EXPECT([x_error], \selector)
        .endr
        and     byte ptr [gdt_end - 3], 0x7f
        mov     word ptr [dead_tss + TSS_LDT], LDT
        ENTRY_FAILS 10
        or      byte ptr [gdt_end - 3], 0x80
        EXPECT([x_error], LDT)
        mov     word ptr [dead_tss + TSS_LDT], 0

        CASE "table 9-1: CS: null, data, another DPL than RPL: #TS; not present: #NP"
        mov     word ptr [dead_tss + TSS_CS], 0
        ENTRY_FAILS 10
        EXPECT([x_error], 0)
        mov     word ptr [dead_tss + TSS_CS], DATA
        ENTRY_FAILS 10
        EXPECT([x_error], DATA)
        mov     word ptr [dead_tss + TSS_CS], CODE + 3
        ENTRY_FAILS 10
        EXPECT([x_error], CODE)
        and     byte ptr [gdt_code16 + 5], 0x7f
        mov     word ptr [dead_tss + TSS_CS], CODE16
        ENTRY_FAILS 11
        or      byte ptr [gdt_code16 + 5], 0x80
        EXPECT([x_error], CODE16)
        mov     word ptr [dead_tss + TSS_CS], CODE

        CASE "table 9-1: SS: null, code, another RPL than CPL: #TS; not present: #SS"
        mov     word ptr [dead_tss + TSS_SS], 0
        ENTRY_FAILS 10
        EXPECT([x_error], 0)
        mov     word ptr [dead_tss + TSS_SS], CODE
        ENTRY_FAILS 10
        EXPECT([x_error], CODE)
        mov     word ptr [dead_tss + TSS_SS], DATA + 3
        ENTRY_FAILS 10
        EXPECT([x_error], DATA)
        mov     byte ptr [gdt_code16 + 5], 0x13
        mov     word ptr [dead_tss + TSS_SS], CODE16
        ENTRY_FAILS 12
        mov     byte ptr [gdt_code16 + 5], 0x9b
        EXPECT([x_error], CODE16)
        mov     word ptr [dead_tss + TSS_SS], DATA

        CASE "table 9-1: DS: a system segment, an execute-only one: #TS; not present: #NP"
        mov     word ptr [dead_tss + TSS_DS], LDT
        ENTRY_FAILS 10
        EXPECT([x_error], LDT)
        mov     byte ptr [gdt_code16 + 5], 0x99
        mov     word ptr [dead_tss + TSS_DS], CODE16
        ENTRY_FAILS 10
        EXPECT([x_error], CODE16)
        mov     byte ptr [gdt_code16 + 5], 0x13
        ENTRY_FAILS 11
        mov     byte ptr [gdt_code16 + 5], 0x9b
        EXPECT([x_error], CODE16)
        mov     word ptr [dead_tss + TSS_DS], DATA

        CASE "9.3: EIP of the new task beyond its code segment is #GP(0) in the new task"
        mov     dword ptr [dead_tss + TSS_FLAGS], 2
        mov     dword ptr [dead_tss + TSS_EIP], 0x12345
        mov     dword ptr [dead_tss + TSS_ESP], offset fault_stack_end
        mov     word ptr [dead_tss + TSS_CS], CODE16
        GATE_IS 13, TASK, 0, 0x85
        TASK_STARTS entry_failed_task
        mov     dword ptr [x_error], -1
        FAR_JUMP DEAD
        EXPECT([seen], DEAD)
        EXPECT([x_error], 0)
        mov     word ptr [dead_tss + TSS_CS], CODE

        CASE "the task that runs is busy: a jump to it is #GP with its selector"
        FAULTS  FAR_JUMP MAIN_TSS
        EXPECT_FAULT(MAIN_TSS)

        CASE "9.2.5: a task gate: its DPL, its P, and a TSS of the GDT"
        FAULTS  FAR_JUMP GATE+3
        EXPECT_FAULT(GATE)
        mov     word ptr [gdt_gate + 2], TASK + 4
        FAULTS  FAR_JUMP GATE
        EXPECT_FAULT(TASK + 4)
        mov     word ptr [gdt_gate + 2], 0
        FAULTS  FAR_JUMP GATE
        EXPECT_FAULT(0)
        mov     word ptr [gdt_gate + 2], TASK
        GATE_IS 13, TASK, 0, 5
        GATE_IS 11, TASK, 0, 0x85
        and     byte ptr [gdt_gate + 5], 0x7f
        FAULTS  FAR_JUMP GATE
        or      byte ptr [gdt_gate + 5], 0x80
        EXPECT_FAULT(GATE)
        GATE_IS 11, TASK, 0, 5

        CASE "9.4: IRET with NT to a TSS that is not busy, not in the GDT or not a TSS is #TS with the link"
        GATE_IS 10, TASK, 0, 0x85
        .irp    selector, 0, DEAD, DEAD+4, DATA
        mov     word ptr [main_tss + TSS_LINK], \selector
        pushfd
        or      dword ptr [esp], NT
        popfd
        FAULTS  iretd
        EXPECT_FAULT(\selector)
        .endr
        pushfd
        and     dword ptr [esp], ~NT
        popfd
        GATE_IS 10, TASK, 0, 5

        CASE "9.3: a switch clears the local breakpoints of DR7 and leaves the global ones"
        mov     eax, 0x700
        mov     dr6, eax
        mov     eax, 0x755 + 0xaa
        mov     dr7, eax
        TASK_STARTS called_quietly
        FAR_CALL TASK
        mov     eax, dr7
        and     eax, 0xff
        EXPECT_REG(eax, 0xaa)
        xor     eax, eax
        mov     dr7, eax

        CASE "9.3: a new TSS on a page that is not there is #PF in the old task, and nothing has changed"
        GATE_IS 14, TASK, 0, 0x85
        TSS_IS  gdt_dead, 0xc00ff0, 103, 0x89
        and     dword ptr [main_pages + 12], ~1
        mov     eax, cr3
        mov     cr3, eax
        FAULTS  FAR_JUMP DEAD
        or      dword ptr [main_pages + 12], 1
        mov     eax, cr3
        mov     cr3, eax
        EXPECT_FAULT(0)
        movzx   eax, byte ptr [gdt_dead + 5]
        EXPECT_REG(eax, 0x89)
        GATE_IS 14, TASK, 0, 5
        ret

called_quietly:
        iretd
