/*
 * Events that meet: shadows of MOV SS and POP SS with pending debug traps, exceptions during the delivery of others. SDM
 * volume 3A, "Masking Exceptions and Interrupts When Switching Stacks", 7.8.3; "Interrupt 8—Double Fault Exception (#DF)",
 * 7.15.
 */
#include "long.h"

#define IA32_STAR 0xc0000081
#define IA32_LSTAR 0xc0000082
#define IA32_FMASK 0xc0000084
#define MF 16
#define AC_FAULT 17
#define ICR_SELF 0x44000
#define DR7_READ_WRITE 0xf0001          /* DR0: four bytes, read or written, L */
/* Bytes of a gate: its P, and the selector. */
#define GATE_P(vector) [idt + vector * 16 + 5]
#define GATE_SELECTOR(vector) [idt + vector * 16 + 2]

        .bss
        .balign 8
log_count:      .skip 8
log_vector:     .skip 8 * 16
log_rip:        .skip 8 * 16
pointer:        .skip 16
watched:        .skip 8
user_word:      .skip 8
syscall_rsp:    .skip 8

        .text
        .code64
/* Logs, and goes on where the frame says; x_resume ends what faults. */
log:
        push    rdx
        mov     rdx, [log_count]
        mov     rax, [rcx + FRAME_VECTOR]
        mov     [log_vector + rdx * 8], rax
        mov     rax, [rcx + FRAME_RIP]
        mov     [log_rip + rdx * 8], rax
        inc     qword ptr [log_count]
        pop     rdx
        mov     eax, 1
        ret

        .macro LAPIC_WRITE offset, value
        mov     r15d, LAPIC + \offset
        mov     dword ptr [r15], \value
        .endm

        .macro WATCH
        mov     qword ptr [log_count], 0
        mov     eax, offset watched
        mov     dr0, rax
        mov     eax, DR7_READ_WRITE
        mov     dr7, rax
        .endm

        .macro WATCH_NOTHING
        xor     eax, eax
        mov     dr7, rax
        mov     dr6, rax
        .endm

#define EXPECT_LOG(n, vector, rip) EXPECT([log_vector + 8 * n], vector); EXPECT([log_rip + 8 * n], rip)

main:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        LAPIC_WRITE 0xf0, 0x1ff
        LAPIC_WRITE 0x80, 0
        mov     qword ptr [watched], DATA
        mov     qword ptr [x_hook], offset log

        CASE "7.8.3: MOV to SS that hits a data breakpoint, then INT n: #DB before the first instruction of the handler"
        WATCH
        mov     ss, [watched]
        int     0x81
1:      WATCH_NOTHING
        EXPECT([log_count], 2)
        EXPECT_LOG(0, DB, offset stubs + 0x81 * 16)
        EXPECT_LOG(1, 0x81, offset 1b)

        CASE "then INT3: likewise"
        WATCH
        mov     ss, [watched]
        int3
1:      WATCH_NOTHING
        EXPECT([log_count], 2)
        EXPECT_LOG(0, DB, offset stubs + BP * 16)
        EXPECT_LOG(1, BP, offset 1b)

        CASE "then SYSCALL: #DB at its target"
        mov     ecx, IA32_STAR
        xor     eax, eax
        mov     edx, CODE64
        wrmsr
        mov     ecx, IA32_LSTAR
        mov     eax, offset 1f
        xor     edx, edx
        wrmsr
        WATCH
        mov     ss, [watched]
        syscall
1:      nop
        WATCH_NOTHING
        mov     eax, DATA
        mov     ss, eax
        EXPECT([log_count], 1)
        EXPECT_LOG(0, DB, offset 1b)

        CASE "LSS begins no shadow: its data breakpoint traps behind it"
        mov     [watched], esp
        mov     word ptr [watched + 4], DATA
        WATCH
        lss     esp, fword ptr [watched]
1:      nop
        WATCH_NOTHING
        mov     qword ptr [watched], DATA
        EXPECT([log_count], 1)
        EXPECT_LOG(0, DB, offset 1b)

        CASE "LSS holds no interrupt either"
        mov     qword ptr [log_count], 0
        mov     [pointer], esp
        mov     word ptr [pointer + 4], DATA
        LAPIC_WRITE 0x300, ICR_SELF + 0x51
        sti
        lss     esp, fword ptr [pointer]
1:      nop
        cli
        LAPIC_WRITE 0xb0, 0
        EXPECT([log_count], 1)
        EXPECT_LOG(0, 0x51, offset 1b)

        mov     qword ptr [x_hook], 0

        CASE "7.15: #DE is contributory: #NP during it is a double fault with error code 0"
        and     byte ptr GATE_P(DE), 0x7f
        xor     ecx, ecx
        CATCH   div ecx
        EXPECT_FAULT(DF, 0)
        or      byte ptr GATE_P(DE), 0x80

        CASE "7.15: contributory after contributory: #GP during #SS, #TS and #NP"
        mov     word ptr GATE_SELECTOR(SS_FAULT), DATA
        mov     rax, 0x8000000000000000
        mov     rbp, rax
        CATCH   mov al, [rbp]
        EXPECT_FAULT(DF, 0)
        mov     word ptr GATE_SELECTOR(SS_FAULT), CODE64
        mov     word ptr GATE_SELECTOR(NP), DATA
        mov     rax, 0x00cf13000000ffff
        mov     [spare], rax
        mov     eax, SPARE
        CATCH   mov fs, eax
        EXPECT_FAULT(DF, 0)
        mov     word ptr GATE_SELECTOR(NP), CODE64

        CASE "7.15: #BP, #DB, #NM and #AC are benign: #GP during them is delivered"
        mov     word ptr GATE_SELECTOR(BP), DATA
        CATCH   int3
        EXPECT_FAULT(GP, DATA)
        mov     word ptr GATE_SELECTOR(BP), CODE64
        mov     word ptr GATE_SELECTOR(NM), DATA
        mov     rax, cr0
        or      eax, 8
        mov     cr0, rax
        CATCH   fnop
        clts
        EXPECT_FAULT(GP, DATA + 1)
        mov     word ptr GATE_SELECTOR(NM), CODE64
        mov     word ptr GATE_SELECTOR(AC_FAULT), DATA
        mov     rax, cr0
        or      eax, 0x40000
        mov     cr0, rax
        mov     qword ptr [user_flags], 2 + AC
        mov     ebx, offset user_word
        mov     eax, USER
        add     rbx, rax
        CATCH_USER mov eax, [rbx + 1]
        mov     qword ptr [user_flags], 2
        mov     rax, cr0
        and     eax, ~0x40000
        mov     cr0, rax
        mov     word ptr GATE_SELECTOR(AC_FAULT), CODE64
        EXPECT_FAULT(GP, DATA + 1)

        CASE "7.15: INT n is benign, whatever its vector: #NP during INT 13 is delivered, without EXT"
        and     byte ptr GATE_P(GP), 0x7f
        CATCH   int 13
        EXPECT_FAULT(NP, GP * 8 + 2)
        or      byte ptr GATE_P(GP), 0x80

        CASE "7.13: an interrupt through a gate that is not present is #NP with EXT, and the interrupt is in service"
        and     byte ptr GATE_P(0x52), 0x7f
        LAPIC_WRITE 0x300, ICR_SELF + 0x52
        mov     qword ptr [x_vector], NONE
        mov     qword ptr [x_resume], offset 1f
        mov     [x_resume_rsp], rsp
        sti
        nop
        nop
1:      cli
        mov     qword ptr [x_resume], 0
        or      byte ptr GATE_P(0x52), 0x80
        EXPECT([x_vector], NP)
        EXPECT([x_error], 0x52 * 8 + 3)
        mov     r15d, LAPIC + 0x120
        mov     eax, [r15]
        shr     eax, 0x52 & 31
        EXPECT_REG(rax, 1)
        LAPIC_WRITE 0xb0, 0

        CASE "7.15: the double fault has the RIP of the instruction that began it"
        and     byte ptr GATE_P(PF), 0x7f
        mov     rbx, TEST_AREA
        CATCH   mov eax, [rbx]
        EXPECT_FAULT(DF, 0)
        EXPECT([x_cr2], TEST_AREA)
        or      byte ptr GATE_P(PF), 0x80

        CASE "#AC needs AM, AC and CPL 3; words at 2, doubles at 8, 80-bit numbers at 8, environments at 4"
        mov     rax, cr0
        or      eax, 0x40000
        mov     cr0, rax
        mov     qword ptr [user_flags], 2 + AC
        .macro  ALIGNED code:vararg
        CATCH_USER \code
        EXPECT_RETURN
        .endm
        .macro  MISALIGNED code:vararg
        CATCH_USER \code
        EXPECT_FAULT(AC_FAULT, 0)
        .endm
        mov     rbx, offset page_a
        mov     eax, USER
        add     rbx, rax
        fninit
        ALIGNED mov ax, [rbx + 2]
        MISALIGNED mov ax, [rbx + 1]
        MISALIGNED mov [rbx + 2], eax
        ALIGNED mov [rbx + 4], eax
        MISALIGNED mov [rbx + 4], rax
        MISALIGNED add [rbx + 3], rax
        ALIGNED fld qword ptr [rbx + 8]
        MISALIGNED fld qword ptr [rbx + 4]
        ALIGNED fld tbyte ptr [rbx + 8]
        MISALIGNED fld tbyte ptr [rbx + 4]
        ALIGNED fnstenv [rbx + 4]
        MISALIGNED fnstenv [rbx + 2]
        ALIGNED fldcw [rbx + 2]
        fninit
        MISALIGNED fldcw [rbx + 1]

        CASE "#AC: vectors of 16 bytes are exempt or #GP(0), scalars are checked"
        mov     rax, cr4
        or      eax, 0x600
        mov     cr4, rax
        ALIGNED movdqu xmm0, [rbx + 1]
        CATCH_USER movdqa xmm0, [rbx + 1]
        EXPECT_FAULT(GP, 0)
        MISALIGNED movq xmm0, [rbx + 4]
        MISALIGNED movd xmm0, dword ptr [rbx + 2]
        MISALIGNED movss xmm0, dword ptr [rbx + 1]
        MISALIGNED addsd xmm0, qword ptr [rbx + 4]
        CATCH_USER fxsave [rbx + 8]
        EXPECT_FAULT(GP, 0)

        CASE "#AC: pushes, pops, strings, XCHG and CMPXCHG8B are checked, bytes never"
        mov     qword ptr [user_stack_pointer], offset user_stack_end + 4
        mov     eax, USER
        add     [user_stack_pointer], rax
        MISALIGNED push rax
        MISALIGNED call rbx
        mov     qword ptr [user_stack_pointer], offset user_stack_end
        add     [user_stack_pointer], rax
        lea     rsi, [rbx + 1]
        lea     rdi, [rbx + 16]
        ALIGNED movsb
        lea     rsi, [rbx + 1]
        MISALIGNED movsw
        MISALIGNED xchg eax, [rbx + 2]
        MISALIGNED cmpxchg8b [rbx + 4]
        MISALIGNED lock inc dword ptr [rbx + 1]
        ALIGNED inc byte ptr [rbx + 1]

        CASE "#AC: the base alone counts, not where the operand ends; a bit string is accessed by its operand size"
        mov     ecx, 8
        MISALIGNED bt [rbx + 2], ecx
        ALIGNED bt word ptr [rbx + 2], cx
        MISALIGNED movzx eax, word ptr [rbx + 4095]

        CASE "5.8: an address that is not canonical comes before #AC"
        mov     rax, 0x8000000000000001
        CATCH_USER mov ecx, [rax]
        EXPECT_FAULT(GP, 0)

        CASE "SGDT at CPL 3 stores a word and then an aligned quadword at 6 modulo 8"
        ALIGNED sgdt [rbx + 6]
        MISALIGNED sgdt [rbx + 8]

        CASE "the stack of the handler is not checked, and AC is not cleared by an interrupt gate"
        mov     qword ptr [tss + 4], offset rsp0_end - 4
        MISALIGNED mov ax, [rbx + 1]
        mov     qword ptr [tss + 4], offset rsp0_end
        mov     eax, [x_flags]
        and     eax, AC
        EXPECT_REG(rax, AC)
        ret
