/*
 * CR4.VME and CR4.PVI: SDM volume 3B, "Interrupt and Exception Handling in Virtual-8086 Mode", 22.3, and "Protected-Mode
 * Virtual Interrupts", 22.4.
 */
#include "v86.h"

#define VME 1
#define PVI 2
#define V86_HANDLER 0xa00
#define FRAME ((V86_STACK << 4) + V86_TOP - 6)

        .macro CR4_IS bits
        mov     eax, \bits
        mov     cr4, eax
        .endm

        /* At CPL 3 in protected mode, from a flat code segment. */
        .macro USER_BEGIN
        mov     dword ptr [x_resume], offset 7f
        mov     [x_resume_esp], esp
        mov     dword ptr [v_start], offset 8f
        mov     dword ptr [v_end], offset 9f
        push    USER_DATA
        push    offset task_stack_end
        push    dword ptr [v_flags]
        push    USER_CODE
        push    offset 8f
        iretd
8:
        .endm

        .macro USER_END
9:      ud2
7:      mov     dword ptr [x_resume], 0
        .endm

        .macro USER code:vararg
        USER_BEGIN
        \code
        USER_END
        .endm

#define EXPECT_USER_FAULT(vector, error) \
        EXPECT([x_vector], vector); EXPECT([x_error], error); mov edi, [v_start]; EXPECT([x_eip], edi)

        /* INT n has come to the handler in the program, which is UD2. */
#define EXPECT_REDIRECTED \
        EXPECT([x_vector], UD); EXPECT([x_cs], V86_HANDLER); EXPECT([x_eip], 0); EXPECT([x_esp], V86_TOP - 6)
#define EXPECT_PUSHED(ip, flags) \
        movzx edi, word ptr [FRAME]; EXPECT_REG(edi, ip); \
        movzx edi, word ptr [FRAME + 2]; EXPECT_REG(edi, V86_CODE); \
        movzx edi, word ptr [FRAME + 4]; EXPECT_REG(edi, flags)

        .bss
v_start:        .skip 4

        .text
main:
        CASE "CPUID.01H:EDX[1] offers CR4.VME and CR4.PVI"
        mov     eax, 1
        cpuid
        and     edx, 2
        EXPECT_REG(edx, 2)
        CR4_IS  VME + PVI
        mov     eax, cr4
        EXPECT_REG(eax, VME + PVI)

        CASE "22.3: with CR4.VME and IOPL below 3 CLI and STI change VIF, and leave IF"
        CR4_IS  VME
        .irp    n, 0, 0x1000, 0x2000
        mov     dword ptr [v_flags], 2 + \n
        V86     sti
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + VIP + IOPL, VIF + \n)
        mov     dword ptr [v_flags], 2 + IF + VIF + \n
        V86     cli
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + VIP + IOPL, IF + \n)
        .endr

        CASE "STI is #GP(0) while VIP is set, CLI is not"
        mov     dword ptr [v_flags], 2 + VIP
        V86     sti
        EXPECT_FAULT(GP, 0)
        EXPECT_FLAGS(VIF + VIP, VIP)
        mov     dword ptr [v_flags], 2 + VIP + VIF
        V86     cli
        EXPECT_END
        EXPECT_FLAGS(VIF + VIP, VIP)

        CASE "STI does not hold back anything: VIF is set at once, and nothing is taken for VIP"
        mov     dword ptr [v_flags], 2
        V86_BEGIN
        sti
        pushf
        pop     ax
        V86_END
        EXPECT_END
        mov     edi, [x_eax]
        and     edi, IF
        EXPECT_REG(edi, IF)

        CASE "PUSHF shows VIF as IF, and IOPL 3"
        mov     dword ptr [v_flags], 2 + VIF
        V86_BEGIN
        pushf
        pop     ax
        V86_END
        EXPECT_END
        movzx   edi, word ptr [x_eax]
        and     edi, IF + IOPL
        EXPECT_REG(edi, IF + IOPL)
        mov     dword ptr [v_flags], 2 + IF
        V86_BEGIN
        pushf
        pop     ax
        V86_END
        EXPECT_END
        movzx   edi, word ptr [x_eax]
        and     edi, IF + IOPL
        EXPECT_REG(edi, IOPL)

        CASE "POPF gives IF to VIF, and leaves IF and IOPL"
        mov     dword ptr [v_flags], 2 + 0x1000
        V86_BEGIN
        push    0x203
        popf
        V86_END
        EXPECT_END
        EXPECT_FLAGS(CF + IF + VIF + IOPL, CF + VIF + 0x1000)
        mov     dword ptr [v_flags], 2 + IF + VIF
        V86_BEGIN
        push    0x3002
        popf
        V86_END
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + IOPL, IF)

        CASE "POPF is #GP(0) with TF, and with IF while VIP is set"
        mov     dword ptr [v_flags], 2
        V86_BEGIN
        push    0x102
        popf
        V86_END
        EXPECT_FAULT_AT(GP, 0, 3)
        EXPECT([x_esp], V86_TOP - 2)
        mov     dword ptr [v_flags], 2 + VIP
        V86_BEGIN
        push    0x202
        popf
        V86_END
        EXPECT_FAULT_AT(GP, 0, 3)
        V86_BEGIN
        push    2
        popf
        V86_END
        EXPECT_END
        EXPECT_FLAGS(VIF + VIP, VIP)

        CASE "IRET likewise"
        mov     dword ptr [v_flags], 2
        V86_BEGIN
        push    0x3203
        push    V86_CODE
        push    offset 1f - 8b
        iret
        nop
1:      nop
        V86_END
        EXPECT_END
        EXPECT_FLAGS(CF + IF + VIF + IOPL, CF + VIF)
        .irp    image, 0x102, 0x202
        mov     dword ptr [v_flags], 2 + VIP
        V86_BEGIN
        push    \image
        push    V86_CODE
        push    0
        iret
        V86_END
        EXPECT([x_vector], GP)
        EXPECT([x_error], 0)
        EXPECT([x_esp], V86_TOP - 6)
        .endr

        CASE "PUSHFD, POPFD and IRETD remain #GP(0)"
        mov     dword ptr [v_flags], 2
        V86     pushfd
        EXPECT_FAULT(GP, 0)
        V86     popfd
        EXPECT_FAULT(GP, 0)
        V86     iretd
        EXPECT_FAULT(GP, 0)

        CASE "with IOPL 3 they are about IF, whatever VIP is"
        mov     dword ptr [v_flags], 2 + IOPL + VIP
        V86     sti
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + VIP, IF + VIP)
        V86_BEGIN
        push    0x202
        popf
        V86_END
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + VIP, IF + VIP)
        mov     dword ptr [v_flags], 2 + IOPL + VIF
        V86_BEGIN
        pushf
        pop     ax
        V86_END
        mov     edi, [x_eax]
        and     edi, IF
        EXPECT_REG(edi, 0)

        CASE "22.3.3: INT n whose bit in the redirection map is 0 goes to the program's handler; IF shows VIF, which is cleared"
        mov     word ptr [V86_HANDLER << 4], 0x0b0f
        mov     dword ptr [0x80 * 4], V86_HANDLER << 16
        mov     dword ptr [v_flags], 2 + IF + VIF + CF
        V86     int 0x80
        EXPECT_REDIRECTED
        EXPECT_PUSHED(2, 2 + CF + IF + IOPL)
        EXPECT_FLAGS(CF + IF + VIF + IOPL, CF + IF)
        mov     dword ptr [v_flags], 2 + IF
        V86     int 0x80
        EXPECT_REDIRECTED
        EXPECT_PUSHED(2, 2 + IOPL)
        EXPECT_FLAGS(IF + VIF + IOPL, IF)

        CASE "with IOPL 3 the handler begins with IF clear, and VIF stays"
        mov     dword ptr [v_flags], 2 + IOPL + IF + VIF
        V86     int 0x80
        EXPECT_REDIRECTED
        EXPECT_PUSHED(2, 2 + IOPL + IF)
        EXPECT_FLAGS(IF + VIF + IOPL, VIF + IOPL)

        CASE "the handler returns by IRET, and VIF is as it was"
        mov     byte ptr [V86_HANDLER << 4], 0xcf
        mov     dword ptr [v_flags], 2 + VIF
        V86_BEGIN
        int     0x80
        nop
        V86_END
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + IOPL, VIF)
        EXPECT([x_esp], V86_TOP)
        mov     word ptr [V86_HANDLER << 4], 0x0b0f

        CASE "TF is clear in the program's handler, and is in its image"
        mov     dword ptr [v_flags], 2 + TF
        V86     int 0x80
        EXPECT_REDIRECTED
        EXPECT_PUSHED(2, 2 + TF + IOPL)
        EXPECT_FLAGS(TF, 0)

        CASE "INT n whose bit is 1 goes through the IDT with IOPL 3, and is #GP(0) below"
        mov     byte ptr [redirection + 0x80 / 8], 1
        mov     dword ptr [v_flags], 2 + IOPL
        V86     int 0x80
        EXPECT_FAULT_AT(0x80, 0, 2)
        mov     dword ptr [v_flags], 2
        V86     int 0x80
        EXPECT_FAULT(GP, 0)
        mov     byte ptr [redirection + 0x80 / 8], 0xfe
        V86     int 0x80
        EXPECT_REDIRECTED
        mov     byte ptr [redirection + 0x80 / 8], 0

        CASE "the redirection map lies in the 32 bytes below the I/O permission map"
        mov     byte ptr [redirection], 1
        mov     byte ptr [redirection + 31], 0x80
        mov     dword ptr [0 * 4], V86_HANDLER << 16
        mov     dword ptr [0xff * 4], V86_HANDLER << 16
        V86     int 0
        EXPECT_FAULT(GP, 0)
        V86     int 0xff
        EXPECT_FAULT(GP, 0)
        mov     dword ptr [1 * 4], V86_HANDLER << 16
        V86     int 1
        EXPECT_REDIRECTED
        mov     byte ptr [redirection], 0
        mov     byte ptr [redirection + 31], 0
        V86     int 0
        EXPECT_REDIRECTED
        V86     int 0xff
        EXPECT_REDIRECTED

        CASE "INT 3 as INT n is redirected; the one-byte INT3, INTO and exceptions are not"
        mov     dword ptr [3 * 4], V86_HANDLER << 16
        V86_BEGIN
        .byte   0xcd, 3
        V86_END
        EXPECT_REDIRECTED
        V86     int3
        EXPECT_FAULT_AT(BP, 0, 1)
        mov     dword ptr [v_flags], 2 + 0x800
        V86     into
        EXPECT_FAULT_AT(OF, 0, 1)
        mov     dword ptr [v_flags], 2
        V86_BEGIN
        xor     ecx, ecx
        div     cx
        V86_END
        EXPECT_FAULT_AT(DE, 0, 3)

        CASE "the words are pushed on the program's stack, which they have to fit"
        mov     dword ptr [v_esp], 1
        V86     int 0x80
        EXPECT_FAULT(SS_FAULT, 0)
        EXPECT([x_esp], 1)
        mov     dword ptr [v_esp], V86_TOP

        CASE "22.4: with CR4.PVI and IOPL below 3 CLI and STI at CPL 3 change VIF, and leave IF"
        CR4_IS  PVI
        .irp    n, 0, 0x2000
        mov     dword ptr [v_flags], 2 + \n
        USER    sti
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + IOPL, VIF + \n)
        mov     dword ptr [v_flags], 2 + IF + VIF + \n
        USER    cli
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + IOPL, IF + \n)
        .endr

        CASE "there too STI is #GP(0) while VIP is set"
        mov     dword ptr [v_flags], 2 + VIP
        USER    sti
        EXPECT_USER_FAULT(GP, 0)
        USER    cli
        EXPECT_END

        CASE "PUSHF and POPF do not know VIF in protected mode"
        mov     dword ptr [v_flags], 2 + VIF
        USER_BEGIN
        pushfd
        pop     eax
        USER_END
        EXPECT_END
        mov     edi, [x_eax]
        and     edi, IF + VIF + IOPL
        EXPECT_REG(edi, VIF)
        USER_BEGIN
        push    0x3202
        popfd
        USER_END
        EXPECT_END
        EXPECT_FLAGS(IF + IOPL, 0)

        CASE "with IOPL 3 CLI and STI are about IF"
        mov     dword ptr [v_flags], 2 + IOPL + VIP
        USER    sti
        EXPECT_END
        EXPECT_FLAGS(IF + VIF + VIP, IF + VIP)

        CASE "CR4.PVI means nothing in virtual-8086 mode, CR4.VME nothing in protected mode"
        mov     dword ptr [v_flags], 2
        V86     sti
        EXPECT_FAULT(GP, 0)
        V86     int 0x80
        EXPECT_FAULT(GP, 0)
        CR4_IS  VME
        USER    sti
        EXPECT_USER_FAULT(GP, 0)
        USER    cli
        EXPECT_USER_FAULT(GP, 0)
        CR4_IS  0
        ret
