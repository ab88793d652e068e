/*
 * Call gates in IA-32e mode: SDM volume 3A, "IA-32e Mode Call Gates", 6.8.3.1, and "Stack Switching in 64-bit Mode",
 * 6.8.5.1. What a gate leads to is `target`, which ends by INT 80H.
 */
#include "long.h"

#define GATE SPARE
#define CALL_GATE 0x8c
#define DPL3 0x60

        .macro GATE_IS selector, access
        mov     eax, offset target
        mov     [spare], ax
        mov     word ptr [spare + 2], \selector
        mov     byte ptr [spare + 4], 0
        mov     byte ptr [spare + 5], \access
        shr     eax, 16
        mov     [spare + 6], ax
        mov     qword ptr [spare + 8], 0
        .endm

#define EXPECT_TARGET(cs) \
        EXPECT([x_vector], 0x80); EXPECT([x_rip], offset target + 2); EXPECT([x_cs], cs)
#define EXPECT_FRAME(at, value) mov rdx, [x_rsp]; EXPECT([rdx + at], value)

        .data
far_pointer:
        .long   0x55555555              /* a gate has the offset */
        .word   GATE + 3

        .text
        .code64
target: int     0x80

popping_target:
        pop     rbp
        pop     rsi
        int     0x80

main:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        mov     ebx, offset far_pointer
        mov     eax, USER
        add     rbx, rax

        CASE "6.8.3.1: CALL without a change of CPL pushes CS and RIP as quadwords"
        GATE_IS CODE64, CALL_GATE+DPL3
        mov     eax, offset popping_target
        mov     [spare], ax
        shr     eax, 16
        mov     [spare + 6], ax
        CATCH   call fword ptr [far_pointer]
        EXPECT([x_vector], 0x80)
        EXPECT_REG(rsi, CODE64)
        mov     rax, [x_site]
        add     rax, 7
        EXPECT_REG(rbp, rax)

        CASE "6.8.5.1: from CPL 3 RSP comes from the TSS as it is, SS is null, and SS, RSP, CS and RIP are pushed"
        GATE_IS CODE64, CALL_GATE+DPL3
        mov     qword ptr [tss + 4], offset rsp0_end - 8
        CATCH_USER call fword ptr [rbx]
        mov     qword ptr [tss + 4], offset rsp0_end
        EXPECT_TARGET(CODE64)
        EXPECT([x_ss], 0)
        EXPECT([x_rsp], offset rsp0_end - 40)
        mov     rax, [x_site]
        add     rax, 2
        EXPECT_FRAME(0, rax)
        EXPECT_FRAME(8, USER_CODE)
        EXPECT_FRAME(16, [user_stack_pointer])
        EXPECT_FRAME(24, USER_DATA)

        CASE "there are no parameters, whatever the byte of their count says"
        mov     byte ptr [spare + 4], 5
        CATCH_USER call fword ptr [rbx]
        EXPECT_TARGET(CODE64)
        EXPECT([x_rsp], offset rsp0_end - 32)

        CASE "the gate's DPL and P: #GP and #NP with its selector"
        GATE_IS CODE64, CALL_GATE
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(GP, GATE)
        GATE_IS CODE64, 0x6c
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(NP, GATE)

        CASE "the code segment must be 64-bit code: #GP with its selector, and null #GP(0)"
        GATE_IS CODE32, CALL_GATE+DPL3
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(GP, CODE32)
        GATE_IS DATA, CALL_GATE+DPL3
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(GP, DATA)
        GATE_IS 0, CALL_GATE+DPL3
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(GP, 0)

        CASE "the type field of the upper half must be 0: #GP with the gate's selector"
        GATE_IS CODE64, CALL_GATE+DPL3
        mov     byte ptr [spare + 13], 1
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(GP, GATE)

        CASE "a gate whose upper half is beyond the table is #GP with its selector"
        mov     rax, [spare]
        mov     [spare + 8], rax
        mov     word ptr [far_pointer + 4], GATE + 8 + 3
        CATCH_USER call fword ptr [rbx]
        mov     word ptr [far_pointer + 4], GATE + 3
        EXPECT_FAULT(GP, GATE + 8)

        CASE "an offset that is not canonical is #GP(0), at the CALL"
        GATE_IS CODE64, CALL_GATE+DPL3
        mov     dword ptr [spare + 8], 0x80000000
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(GP, 0)

        CASE "16-bit call gates, task gates, TSSs and interrupt gates are #GP with their selector"
        .irp    type, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x89, 0x8b, 0x8e, 0x8f
        GATE_IS CODE64, \type+DPL3
        CATCH_USER call fword ptr [rbx]
        EXPECT_FAULT(GP, GATE)
        .endr

        CASE "JMP through a gate does not change CPL"
        GATE_IS CODE64, CALL_GATE+DPL3
        CATCH_USER jmp fword ptr [rbx]
        EXPECT_FAULT(GP, CODE64)
        GATE_IS USER_CODE, CALL_GATE+DPL3
        or      byte ptr [spare + 7], USER >> 24        /* where CPL 3 finds it */
        CATCH_USER jmp fword ptr [rbx]
        EXPECT([x_vector], 0x80)
        EXPECT([x_cs], USER_CODE)
        mov     rax, [user_stack_pointer]
        EXPECT([x_rsp], rax)
        CATCH   jmp fword ptr [far_pointer]
        EXPECT_FAULT(GP, USER_CODE - 3)
        ret
