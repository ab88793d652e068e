/* Which exception comes first, and what it says. SDM volume 3A, 7.9, and the instructions' pages of volume 2. */
#include "long.h"

#define CR0_AM 0x40000
#define CR0_TS 8
#define CR0_EM 4
#define AC_FAULT 17

        .bss
        .balign 4096
two_pages: .skip 8192

        .text
        .code64
main:
        mov     ebx, TEST_AREA
        mov     r12, 0x800000000000

        CASE "LOCK with an instruction that cannot be locked is #UD before its memory access"
        CATCH   .byte 0xf0, 0x8b, 0x03                  /* lock mov eax, [rbx] */
        EXPECT_FAULT(UD, 0)
        CATCH   .byte 0xf0, 0x01, 0xc0                  /* lock add eax, eax */
        EXPECT_FAULT(UD, 0)
        CATCH   .byte 0xf0, 0x01, 0x03                  /* lock add [rbx], eax */
        EXPECT_PF(2, TEST_AREA)

        CASE "an instruction of more than 15 bytes is #GP(0)"
        CATCH   .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
        EXPECT_FAULT(GP, 0)
        CATCH   .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
        EXPECT_NONE

        CASE "7.9: a page fault of the fetch comes before #UD of the bytes that are there"
        mov     dword ptr [test_pt], offset two_pages + P + W
        mov     word ptr [two_pages + 4095], 0x0f
        lea     rdx, [rbx + 4095]
        CATCH   jmp rdx
        EXPECT([x_vector], PF)
        EXPECT([x_cr2], TEST_AREA + 4096)
        EXPECT([x_rip], rdx)

        CASE "#UD of invalid opcodes in 64-bit mode"
        CATCH   .byte 0x06                              /* push es */
        EXPECT_FAULT(UD, 0)
        CATCH   .byte 0x37                              /* aaa */
        EXPECT_FAULT(UD, 0)
        CATCH   .byte 0x9a, 0, 0, 0, 0, 0, 0            /* call far */
        EXPECT_FAULT(UD, 0)
        CATCH   .byte 0x0f, 0x22, 0xc8                  /* mov cr1, rax */
        EXPECT_FAULT(UD, 0)

        CASE "RSM outside of system-management mode is #UD, whatever the CPL"
        CATCH   rsm
        EXPECT_FAULT(UD, 0)
        CATCH_USER rsm
        EXPECT_FAULT(UD, 0)

        CASE "#UD of a control register that there is not comes before #GP of CPL 3"
        CATCH_USER .byte 0x0f, 0x22, 0xc8
        EXPECT_FAULT(UD, 0)
        CATCH_USER mov rax, cr0
        EXPECT_FAULT(GP, 0)

        CASE "privileged instructions are #GP(0) at CPL 3"
        .irp    op, hlt, cli, sti, clts, wbinvd, invd, rdmsr, wrmsr, sysretq, "lgdt [rsp]", "lidt [rsp]", "lldt ax", "ltr ax", "lmsw ax", "invlpg [rsp]", "in al, 0x80", "out 0x80, al", "mov cr8, rax"
        CATCH_USER \op
        EXPECT_FAULT(GP, 0)
        .endr

        CASE "the privilege of LGDT is checked before its operand is read"
        CATCH_USER lgdt [rbx + 4096]
        EXPECT_FAULT(GP, 0)

        CASE "#PF of DIV's operand comes before #DE"
        xor     edx, edx
        mov     eax, 1
        CATCH   div dword ptr [rbx + 4096]
        EXPECT_PF(0, TEST_AREA + 4096)
        mov     dword ptr [rbx], 0
        CATCH   div dword ptr [rbx]
        EXPECT_FAULT(DE, 0)

        CASE "#DE of a quotient that does not fit changes nothing"
        mov     edx, 5
        mov     ecx, 5
        CATCH   div ecx
        EXPECT_FAULT(DE, 0)
        EXPECT_REG(rdx, 5)
        mov     eax, 0x80000000
        cdq
        mov     ecx, -1
        CATCH   idiv ecx
        EXPECT_FAULT(DE, 0)

        CASE "an address that is not canonical is #GP(0), on the stack #SS(0)"
        CATCH   mov al, [r12]
        EXPECT_FAULT(GP, 0)
        mov     rbp, r12
        CATCH   mov al, [rbp]
        EXPECT_FAULT(SS_FAULT, 0)

        CASE "a push just above the hole is #SS(0) and leaves RSP"
        mov     rax, r12
        add     rax, 4
        mov     qword ptr [x_resume], offset 1f
        mov     [x_resume_rsp], rsp
        mov     byte ptr [idt + SS_FAULT * 16 + 4], 1
        mov     rsp, rax
        push    rax
1:      mov     qword ptr [x_resume], 0
        mov     byte ptr [idt + SS_FAULT * 16 + 4], 0
        EXPECT([x_vector], SS_FAULT)
        EXPECT([x_error], 0)
        mov     rax, r12
        add     rax, 4
        EXPECT([x_rsp], rax)

        CASE "a near jump to an address that is not canonical is #GP(0) at the jump"
        CATCH   jmp r12
        EXPECT_FAULT(GP, 0)
        CATCH   call r12
        EXPECT_FAULT(GP, 0)
        mov     rax, rsp
        EXPECT([x_rsp], rax)
        push    r12
        CATCH   ret
        EXPECT_FAULT(GP, 0)
        mov     rax, [x_resume_rsp]
        EXPECT_REG(rsp, rax)
        pop     rax

        CASE "a CALL whose push faults does not jump"
        mov     rdx, rsp
        mov     byte ptr [idt + PF * 16 + 4], 1
        mov     qword ptr [x_resume], offset 1f
        mov     [x_resume_rsp], rdx
        lea     rsp, [rbx + 8192]
        mov     eax, offset 2f
2:      call    rax
1:      mov     qword ptr [x_resume], 0
        mov     byte ptr [idt + PF * 16 + 4], 0
        EXPECT([x_vector], PF)
        mov     eax, offset 2b
        EXPECT([x_rip], rax)
        lea     rax, [rbx + 8192]
        EXPECT([x_rsp], rax)

        CASE "#NM of CR0.TS and CR0.EM for x87 instructions, not for their memory operands' faults"
        mov     rax, cr0
        or      eax, CR0_TS
        mov     cr0, rax
        CATCH   fnop
        EXPECT_FAULT(NM, 0)
        CATCH   fld qword ptr [rbx + 4096]
        EXPECT_FAULT(NM, 0)
        clts
        CATCH   fld qword ptr [rbx + 4096]
        EXPECT_PF(0, TEST_AREA + 4096)
        mov     rax, cr0
        or      eax, CR0_EM
        mov     cr0, rax
        CATCH   fnop
        EXPECT_FAULT(NM, 0)
        mov     rax, cr0
        and     eax, ~CR0_EM
        mov     cr0, rax

        CASE "#AC(0) of unaligned accesses at CPL 3 with CR0.AM and RFLAGS.AC, at no other CPL"
        mov     rax, cr0
        or      eax, CR0_AM
        mov     cr0, rax
        mov     edx, offset two_pages + USER
        CATCH_USER mov eax, [rdx + 1]
        EXPECT_RETURN
        mov     qword ptr [user_flags], 2 + AC
        CATCH_USER mov eax, [rdx + 1]
        EXPECT_FAULT(AC_FAULT, 0)
        CATCH_USER mov [rdx + 6], eax
        EXPECT_FAULT(AC_FAULT, 0)
        CATCH_USER mov eax, [rdx + 4]
        EXPECT_RETURN
        CATCH_USER mov rax, [rdx + 4]
        EXPECT_FAULT(AC_FAULT, 0)
        CATCH_USER movsx eax, byte ptr [rdx + 3]
        EXPECT_RETURN
        mov     qword ptr [user_flags], 2
        pushfq
        or      qword ptr [rsp], AC
        popfq
        CATCH   mov eax, [rdx + 1]
        EXPECT_NONE
        pushfq
        and     qword ptr [rsp], ~AC
        popfq
        mov     rax, cr0
        and     eax, ~CR0_AM
        mov     cr0, rax

        CASE "MOV to CR0: PG without PE and NW without CD are #GP(0)"
        mov     rax, cr0
        and     eax, ~1
        CATCH   mov cr0, rax
        EXPECT_FAULT(GP, 0)
        mov     rax, cr0
        or      eax, 0x20000000
        CATCH   mov cr0, rax
        EXPECT_FAULT(GP, 0)

        CASE "MOV to CR4: PAE cannot be cleared in IA-32e mode, reserved bits are #GP(0)"
        mov     rax, cr4
        and     eax, ~0x20
        CATCH   mov cr4, rax
        EXPECT_FAULT(GP, 0)
        mov     rax, cr4
        or      eax, 0x80000000
        CATCH   mov cr4, rax
        EXPECT_FAULT(GP, 0)

        CASE "WRMSR: an address that is not canonical, reserved bits and unknown MSRs are #GP(0)"
        mov     ecx, 0xc0000100
        xor     eax, eax
        mov     edx, 0x1000000          /* bit 56: not canonical with 57 bits either */
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)
        mov     ecx, 0xc0000080
        mov     edx, 0
        mov     eax, 0xfffff000
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)
        mov     ecx, 0x12345678
        CATCH   rdmsr
        EXPECT_FAULT(GP, 0)

        CASE "IA32_EFER.LME cannot change while paging is on"
        mov     ecx, 0xc0000080
        rdmsr
        and     eax, ~0x100
        CATCH   wrmsr
        EXPECT_FAULT(GP, 0)

        CASE "a null selector for SS is #GP(0) at CPL 3, for DS it is fine until it is used"
        xor     r13d, r13d
        CATCH_USER mov ss, r13d
        EXPECT_FAULT(GP, 0)
        mov     eax, 3
        CATCH   mov ss, eax
        EXPECT_FAULT(GP, 0)
        xor     eax, eax
        CATCH   mov ds, eax
        EXPECT_NONE

        CASE "segment registers: limit of the table, type, DPL and P, with the selector as error code"
        mov     eax, 0x2000
        CATCH   mov ds, eax
        EXPECT_FAULT(GP, 0x2000)
        mov     eax, TSS
        CATCH   mov ds, eax
        EXPECT_FAULT(GP, TSS)
        mov     eax, CODE64
        CATCH   mov ss, eax
        EXPECT_FAULT(GP, CODE64)
        mov     rax, 0x00cf13000000ffff
        mov     [spare], rax
        mov     eax, SPARE
        CATCH   mov ds, eax
        EXPECT_FAULT(NP, SPARE)
        CATCH   mov ss, eax
        EXPECT_FAULT(SS_FAULT, SPARE)
        mov     eax, DATA + 3
        CATCH   mov ss, eax
        EXPECT_FAULT(GP, DATA)
        mov     eax, DATA + 4
        CATCH   mov ds, eax
        EXPECT_FAULT(GP, DATA + 4)

        CASE "MOV to CS is #UD"
        CATCH   .byte 0x8e, 0xc8
        EXPECT_FAULT(UD, 0)
        ret
