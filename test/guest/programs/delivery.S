/* Delivery of exceptions in 64-bit mode, double faults and IRET. SDM volume 3A, chapter 7. */
#include "long.h"

        /* IRETQ to the frame given, from the top of the stack down. */
        .macro IRET_TO cs, rip, flags, stack, stack_segment
        push    \stack_segment
        push    \stack
        push    \flags
        push    \cs
        push    \rip
        CATCH   iretq
        .endm

        .text
        .code64
main:
        mov     [saved_rsp], rsp

        CASE "7.14.2: the frame is aligned to 16 bytes and has SS and RSP also without a change of CPL"
        lea     rdx, [rsp - 3]
        mov     qword ptr [x_resume_rsp], rsp
        mov     rbx, rsp
        mov     rsp, rdx
        CATCH   ud2
        mov     rsp, rbx
        EXPECT_FAULT(UD, 0)
        EXPECT([x_rsp], rdx)
        EXPECT([x_ss], DATA)
        mov     rax, [x_frame]
        add     rax, 40
        and     eax, 15
        EXPECT_REG(rax, 0)

        CASE "7.12.1.3: an interrupt gate clears IF, TF and NT; the frame has them"
        mov     qword ptr [x_hook], offset see_flags
        sti
        CATCH   ud2
        cli
        mov     rax, [x_flags]
        and     eax, IF
        EXPECT_REG(rax, IF)
        mov     rax, [flags_in_handler]
        and     eax, IF + TF + 0x4000
        EXPECT_REG(rax, 0)

        CASE "7.12.1.3: a trap gate leaves IF"
        mov     byte ptr [idt + UD * 16 + 5], 0x8f
        sti
        CATCH   ud2
        cli
        mov     byte ptr [idt + UD * 16 + 5], 0x8e
        mov     rax, [flags_in_handler]
        and     eax, IF
        EXPECT_REG(rax, IF)
        mov     qword ptr [x_hook], 0

        CASE "7.14.4: a change of CPL takes RSP0, and SS is null"
        mov     qword ptr [x_hook], offset see_flags
        CATCH_USER ud2
        mov     qword ptr [x_hook], 0
        EXPECT([x_cs], USER_CODE)
        EXPECT([x_ss], USER_DATA)
        EXPECT([x_frame], offset rsp0_end - 40)
        EXPECT([ss_in_handler], 0)

        CASE "7.14.5: an IST entry is taken whatever the CPL"
        mov     byte ptr [idt + UD * 16 + 4], 1
        CATCH   ud2
        EXPECT([x_frame], offset ist1_end - 40)
        CATCH_USER ud2
        EXPECT([x_frame], offset ist1_end - 40)
        mov     byte ptr [idt + UD * 16 + 4], 0

        CASE "7.12.1.2: INT n at CPL 3 needs a gate with DPL 3, else #GP with the gate's index"
        CATCH_USER int 0x80
        EXPECT_RETURN
        CATCH_USER int 0x81
        EXPECT_FAULT(GP, 0x81 * 8 + 2)

        CASE "7.12.1.2: an exception ignores the gate's DPL"
        CATCH_USER ud2
        EXPECT_FAULT(UD, 0)

        CASE "7.11: a gate that is not present is #NP"
        and     byte ptr [idt + 0x81 * 16 + 5], 0x7f
        CATCH   int 0x81
        or      byte ptr [idt + 0x81 * 16 + 5], 0x80
        EXPECT_FAULT(NP, 0x81 * 8 + 2)

        CASE "7.14.1: a vector beyond the limit is #GP"
        mov     word ptr [idtr], 0x81 * 16 - 1
        lidt    [idtr]
        CATCH   int 0x81
        EXPECT_FAULT(GP, 0x81 * 8 + 2)
        mov     word ptr [idtr], 4095
        lidt    [idtr]

        CASE "7.14.1: a gate's code segment must be 64-bit code"
        mov     word ptr [idt + 0x81 * 16 + 2], CODE32
        CATCH   int 0x81
        EXPECT_FAULT(GP, CODE32)
        mov     word ptr [idt + 0x81 * 16 + 2], 0
        CATCH   int 0x81
        EXPECT_FAULT(GP, 0)
        mov     word ptr [idt + 0x81 * 16 + 2], CODE64

        CASE "7.13: EXT is set when the event is an exception"
        mov     word ptr [idt + UD * 16 + 2], CODE32
        CATCH   ud2
        mov     word ptr [idt + UD * 16 + 2], CODE64
        EXPECT_FAULT(GP, CODE32 + 1)

        CASE "7.15: #PF during the delivery of #PF is a double fault with error code 0"
        mov     byte ptr [idt + DF * 16 + 4], 2
        mov     qword ptr [tss + 52], TEST_AREA + 0x1000 /* IST3: a page that is not present */
        mov     byte ptr [idt + PF * 16 + 4], 3
        CATCH   mov al, [TEST_AREA]
        mov     byte ptr [idt + PF * 16 + 4], 0
        EXPECT([x_vector], DF)
        EXPECT([x_error], 0)
        mov rax, [x_site]; EXPECT([x_rip], rax)
        EXPECT([x_frame], offset ist2_end - 40)

        CASE "7.15: contributory exceptions make a double fault: #NP during #GP"
        and     byte ptr [idt + GP * 16 + 5], 0x7f
        mov     rdx, 0x800000000000
        CATCH   mov al, [rdx]
        EXPECT([x_vector], DF)
        mov rax, [x_site]; EXPECT([x_rip], rax)

        CASE "7.15: #GP during #PF is a double fault as well"
        and     byte ptr [idt + PF * 16 + 5], 0x7f
        CATCH   mov al, [TEST_AREA]
        EXPECT([x_vector], DF)
        or      byte ptr [idt + PF * 16 + 5], 0x80
        or      byte ptr [idt + GP * 16 + 5], 0x80

        CASE "7.15: #UD is benign: #NP during it is delivered as such"
        and     byte ptr [idt + UD * 16 + 5], 0x7f
        CATCH   ud2
        EXPECT_FAULT(NP, UD * 8 + 3)
        or      byte ptr [idt + UD * 16 + 5], 0x80

        CASE "7.15: a page fault of the stack during #GP is delivered as #PF"
        mov     byte ptr [idt + GP * 16 + 4], 3
        mov     qword ptr [tss + 52], TEST_AREA + 0x1000
        CATCH   mov al, [rdx]
        mov     byte ptr [idt + GP * 16 + 4], 0
        EXPECT([x_vector], PF)
        EXPECT([x_cr2], TEST_AREA + 0x1000 - 8)
        EXPECT([x_error], 2)

        CASE "IRETQ: the return code segment must be code, with RPL not below CPL"
        mov     rsp, [saved_rsp]
        IRET_TO DATA, "offset main", 2, rsp, DATA
        EXPECT_FAULT(GP, DATA)
        IRET_TO 0, "offset main", 2, rsp, DATA
        EXPECT_FAULT(GP, 0)
        mov     rsp, [saved_rsp]

        CASE "IRETQ: to CPL 3 with a stack segment of CPL 0 is #GP with its selector"
        IRET_TO USER_CODE, "offset main", 2, rsp, DATA
        EXPECT_FAULT(GP, DATA)
        mov     rsp, [saved_rsp]

        CASE "IRETQ: a return address that is not canonical is #GP(0) at the IRET"
        mov     rdx, 0x800000000000
        IRET_TO CODE64, rdx, 2, rsp, DATA
        EXPECT_FAULT(GP, 0)
        mov     rsp, [saved_rsp]

        CASE "IRETQ: NT is #GP(0) in 64-bit mode"
        pushfq
        or      qword ptr [rsp], 0x4000
        popfq
        CATCH   iretq
        EXPECT_FAULT(GP, 0)
        pushfq
        and     qword ptr [rsp], ~0x4000
        popfq

        CASE "IRETQ: a null SS is allowed at CPL 0 in 64-bit mode"
        mov     rdx, rsp
        push    0
        push    rdx
        push    2
        push    CODE64
        push    offset 1f
        iretq
1:      mov     eax, ss
        EXPECT_REG(rax, 0)
        EXPECT_REG(rsp, rdx)
        mov     eax, DATA
        mov     ss, eax

        CASE "IRETQ: user mode does not change IOPL or IF with CPL above IOPL"
        ENTER_USER
        push    0
        popfq
        pushfq
        or      qword ptr [rsp], IF + 0x3000
        popfq
        pushfq
        pop     rdx
        LEAVE_USER
        and     edx, IF + 0x3000
        EXPECT_REG(rdx, 0)

        CASE "SYSCALL: RCX and R11 have RIP and RFLAGS, IA32_FMASK clears flags, RSP stays"
        mov     ecx, 0xc0000081
        xor     eax, eax
        mov     edx, CODE64 + ((USER_DATA - 8) << 16)
        wrmsr
        mov     ecx, 0xc0000082
        mov     eax, offset 4f
        xor     edx, edx
        wrmsr
        mov     ecx, 0xc0000084
        mov     eax, IF + 1
        wrmsr
        mov     qword ptr [user_flags], 2 + IF
        ENTER_USER
        stc
        syscall
3:      LEAVE_USER
        jmp     5f
4:      pushfq
        pop     rbx
        mov     r12, rcx
        mov     r13, r11
        mov     r14, rsp
        lea     rsp, [rsp]
        cli
        sysretq
5:      mov     qword ptr [user_flags], 2
        EXPECT_RETURN
        mov     eax, offset 3b
        mov     ecx, USER
        add     rax, rcx
        EXPECT_REG(r12, rax)
        mov     rax, r13
        and     eax, IF + 1
        EXPECT_REG(rax, IF + 1)
        and     ebx, IF + 1
        EXPECT_REG(rbx, 0)

        ret

see_flags:
        pushfq
        pop     rax
        mov     [flags_in_handler], rax
        mov     eax, ss
        mov     [ss_in_handler], rax
        xor     eax, eax
        ret

        .bss
        .balign 8
flags_in_handler: .skip 8
ss_in_handler:  .skip 8
saved_rsp:      .skip 8
