/* 32-bit protected mode without paging: segment checks, gates, privilege changes. SDM volume 3A, chapters 3, 6 and 7. */
#include "protected.h"

main:
        CASE "6.3: the limit is the last byte that can be accessed; beyond it #GP(0)"
        SPARE_IS 0xfff, 0x93, 0x40
        mov     eax, SPARE
        mov     fs, eax
        CATCH   mov byte ptr fs:[0xfff], 1
        EXPECT_NONE
        CATCH   mov byte ptr fs:[0x1000], 1
        EXPECT_FAULT(GP, 0)
        CATCH   mov dword ptr fs:[0xffc], 1
        EXPECT_NONE
        CATCH   mov dword ptr fs:[0xffd], 1
        EXPECT_FAULT(GP, 0)
        CATCH   mov eax, fs:[-1]
        EXPECT_FAULT(GP, 0)

        CASE "3.4.5: with G the limit counts pages"
        SPARE_IS 1, 0x93, 0xc0
        mov     eax, SPARE
        mov     fs, eax
        CATCH   mov byte ptr fs:[0x1fff], 1
        EXPECT_NONE
        CATCH   mov byte ptr fs:[0x2000], 1
        EXPECT_FAULT(GP, 0)

        CASE "3.4.5: the base is added"
        mov     dword ptr fs:[0x123], 0x12345678
        mov     eax, [0x200123]
        EXPECT_REG(eax, 0x12345678)

        CASE "6.3: an expand-down segment is what lies above the limit"
        SPARE_IS 0xfff, 0x97, 0x40
        mov     eax, SPARE
        mov     fs, eax
        CATCH   mov byte ptr fs:[0x1000], 1
        EXPECT_NONE
        CATCH   mov byte ptr fs:[0xfff], 1
        EXPECT_FAULT(GP, 0)
        CATCH   mov al, fs:[0x10000]
        EXPECT_NONE
        SPARE_IS 0xfff, 0x97, 0
        mov     eax, SPARE
        mov     fs, eax
        CATCH   mov al, fs:[0xffff]
        EXPECT_NONE
        CATCH   mov al, fs:[0x10000]
        EXPECT_FAULT(GP, 0)

        CASE "6.4: a read-only segment is not written, a code segment never, an execute-only one not read"
        SPARE_IS 0xfffff, 0x91, 0xc0
        mov     eax, SPARE
        mov     fs, eax
        CATCH   mov al, fs:[0]
        EXPECT_NONE
        CATCH   mov fs:[0], al
        EXPECT_FAULT(GP, 0)
        CATCH   mov al, cs:[main]
        EXPECT_NONE
        CATCH   mov cs:[main], al
        EXPECT_FAULT(GP, 0)
        SPARE_IS 0xfffff, 0x99, 0xc0
        mov     eax, SPARE
        CATCH   mov fs, eax
        EXPECT_FAULT(GP, SPARE)

        CASE "3.4.2: a null selector loads, and its use is #GP(0)"
        xor     eax, eax
        CATCH   mov fs, eax
        EXPECT_NONE
        CATCH   mov al, fs:[0]
        EXPECT_FAULT(GP, 0)
        xor     eax, eax
        CATCH   mov ss, eax
        EXPECT_FAULT(GP, 0)

        CASE "3.4.5.1: loading a segment sets the accessed bit of its descriptor"
        SPARE_IS 0xfffff, 0x92, 0xc0
        mov     eax, SPARE
        mov     fs, eax
        movzx   eax, byte ptr [spare + 5]
        EXPECT_REG(eax, 0x93)

        CASE "6.6: DPL must not be below CPL and RPL, P is checked after it"
        SPARE_IS 0xfffff, 0x13, 0xc0
        mov     eax, SPARE
        CATCH   mov fs, eax
        EXPECT_FAULT(NP, SPARE)
        mov     eax, SPARE + 3
        CATCH   mov fs, eax
        EXPECT_FAULT(GP, SPARE)
        mov     eax, SPARE
        CATCH   mov ss, eax
        EXPECT_FAULT(SS_FAULT, SPARE)
        mov     eax, DATA
        CATCH_USER mov fs, eax
        EXPECT_FAULT(GP, DATA)
        mov     eax, DATA + 3
        CATCH_USER mov fs, eax
        EXPECT_FAULT(GP, DATA)
        mov     eax, USER_DATA
        CATCH_USER mov fs, eax
        EXPECT([x_vector], 0x80)

        CASE "6.3: a stack access beyond the limit is #SS(0), pushes and EBP as base included"
        SPARE_IS 0xfff, 0x93, 0x40
        mov     dword ptr [x_vector], NONE
        mov     eax, SPARE
        mov     [x_resume_esp], esp
        mov     dword ptr [x_resume], offset 1f
        mov     ebp, 0x1000
        mov     ss, eax
        mov     esp, 0x800
        push    eax
        mov     al, [ebp]
1:      mov     dword ptr [x_resume], 0
        EXPECT([x_vector], SS_FAULT)
        EXPECT([x_error], 0)

        CASE "3.4.5: B = 0 makes the stack pointer 16 bits wide"
        SPARE_IS 0xffff, 0x93, 0
        mov     ecx, esp
        mov     eax, SPARE
        mov     ss, eax
        mov     esp, 0x12340002
        push    ax
        push    ax
        mov     edx, esp
        mov     eax, DATA
        mov     ss, eax
        mov     esp, ecx
        EXPECT_REG(edx, 0x1234fffe)

        CASE "5.8.1 far jump: a code segment that is not present, a data segment, a system one"
        SPARE_IS 0xfffff, 0x1b, 0xc0
        CATCH   jmp fword ptr [far_pointer]
        EXPECT_FAULT(NP, SPARE)
        SPARE_IS 0xfffff, 0x93, 0xc0
        CATCH   jmp fword ptr [far_pointer]
        EXPECT_FAULT(GP, SPARE)
        SPARE_IS 0xfffff, 0x82, 0xc0
        CATCH   jmp fword ptr [far_pointer]
        EXPECT_FAULT(GP, SPARE)

        CASE "5.8.1 far jump: beyond the limit of the new segment is #GP(0) at the jump"
        SPARE_IS 0xff, 0x9b, 0x40
        mov     dword ptr [far_pointer], 0x100
        CATCH   jmp fword ptr [far_pointer]
        EXPECT_FAULT(GP, 0)

        CASE "execution does not run over the limit of CS"
        mov     dword ptr [0x2000fe], 0x90909090
        mov     dword ptr [far_pointer], 0xfe
        CATCH   jmp fword ptr [far_pointer]
        EXPECT([x_vector], GP)
        EXPECT([x_error], 0)
        EXPECT([x_eip], 0x100)
        EXPECT([x_cs], SPARE)

        CASE "a 16-bit code segment has 16-bit operands"
        SPARE_IS 0xffff, 0x9b, 0
        mov     dword ptr [0x200000], 0x1234b840        /* inc ax; mov ax, 0x1234 */
        mov     dword ptr [0x200004], 0xcb66            /* o32 retf */
        mov     dword ptr [far_pointer], 0
        mov     eax, 0x55550000
        call    fword ptr [far_pointer]
        EXPECT_REG(eax, 0x55551234)

        CASE "5.8.4: a call gate to CPL 0 switches to the stack of the TSS and copies parameters"
        mov     eax, offset gate_target
        mov     [spare], eax
        mov     [spare + 4], eax
        mov     word ptr [spare + 2], CODE
        mov     word ptr [spare + 4], 0xec01            /* DPL 3, one parameter */
        mov     dword ptr [far_pointer], 0
        mov     ebx, 0
        CATCH_USER call parameter_call
        EXPECT([x_vector], 0x80)
        EXPECT([x_cs], USER_CODE)
        EXPECT_REG(ebx, 0x1234)
        EXPECT_REG(edx, offset esp0_end)

        CASE "5.8.3: a gate's DPL must not be below CPL"
        mov     word ptr [spare + 4], 0x8c01
        CATCH_USER call far_call
        EXPECT([x_vector], GP)
        EXPECT([x_error], SPARE)

        CASE "5.8.3: a gate that is not present is #NP"
        mov     word ptr [spare + 4], 0x6c01
        CATCH_USER call far_call
        EXPECT([x_vector], NP)
        EXPECT([x_error], SPARE)

        CASE "7.12.1: an interrupt at CPL 3 pushes SS and ESP on the stack of the TSS"
        CATCH_USER ud2
        EXPECT_FAULT(UD, 0)
        EXPECT([x_cs], USER_CODE)
        EXPECT([x_ss], USER_DATA)
        EXPECT([x_esp], offset user_stack_end)
        EXPECT([x_handler_esp], offset esp0_end - 28)

        CASE "IRETD to CPL 3 clears segment registers that CPL 3 may not use"
        mov     eax, DATA
        mov     gs, eax
        CATCH_USER mov ebx, gs
        and     ebx, 0xffff
        EXPECT_REG(ebx, 0)

        CASE "BOUND is #BR outside of the bounds, INTO follows OF, INT3 is a trap"
        mov     eax, 9
        CATCH   bound eax, [bounds]
        EXPECT_FAULT(BR, 0)
        mov     eax, 20
        CATCH   bound eax, [bounds]
        EXPECT_NONE
        mov     eax, 0x7fffffff
        inc     eax
        CATCH   into
        EXPECT([x_vector], 4)
        xor     eax, eax
        CATCH   into
        EXPECT_NONE
        CATCH   int3
        EXPECT([x_vector], BP)
        mov     eax, [x_site]
        inc     eax
        EXPECT([x_eip], eax)

        CASE "ARPL, LAR, LSL, VERR and VERW answer by ZF"
        mov     eax, USER_DATA
        lar     ebx, eax
        EXPECT_REG(ebx, 0x00cff300)
        lsl     ebx, eax
        EXPECT_REG(ebx, -1)
        mov     eax, 0x1000
        lar     ebx, eax
        setz    cl
        movzx   ecx, cl
        EXPECT_REG(ecx, 0)
        mov     eax, CODE
        verr    ax
        setz    cl
        verw    ax
        setz    ch
        movzx   ecx, cx
        EXPECT_REG(ecx, 1)
        mov     eax, DATA
        mov     ebx, 3
        arpl    ax, bx
        movzx   eax, ax
        EXPECT_REG(eax, DATA + 3)
        ret

/* CPL 0 with the parameter at [ESP + 8], above it the caller's stack. */
gate_target:
        mov     ebx, [esp + 8]
        lea     edx, [esp + 20]
        retf    4

/* At CPL 3. */
parameter_call:
        push    0x1234
        call    fword ptr [far_pointer]
        ret
far_call:
        call    fword ptr [far_pointer]
        ret
