/*
 * Virtual-8086 mode: SDM volume 3B, "8086 Emulation", chapter 22, without CR4.VME.
 */
#include "v86.h"

/* An interrupt through a task gate: notes the flags that the old task has saved, and goes back. */
task_entry:
        mov     eax, [tss + 36]
        mov     [task_flags], eax
        iretd

main:
        CASE "22.2.1: IRETD with VM in the image enters, an exception leaves through SS0:ESP0"
        mov     dword ptr [v_flags], 2 + CF + IOPL
        V86     nop
        EXPECT_END
        EXPECT([x_cs], V86_CODE)
        EXPECT_FLAGS(VM + IOPL + CF, VM + IOPL + CF)
        EXPECT([x_ss], V86_STACK)
        EXPECT([x_esp], V86_TOP)

        CASE "22.2.5: ES, DS, FS and GS lie above the stack pointer, and are null in the handler"
        EXPECT([x_es], V86_DATA + 1)
        EXPECT([x_ds], V86_DATA)
        EXPECT([x_fs], V86_DATA + 2)
        EXPECT([x_gs], V86_DATA + 3)
        EXPECT([x_handler_ds], 0)
        EXPECT([x_handler_gs], 0)
        EXPECT([x_handler_esp], offset esp0_end - 44)
        mov     edi, [x_handler_flags]
        and     edi, VM + NT + TF + IF
        EXPECT_REG(edi, 0)

        CASE "22.1.1: a segment's base is its selector times 16, its limit 64 KiB; CS can be written"
        mov     dword ptr [(V86_DATA << 4) + 0x10], 0x11111111
        mov     dword ptr [(V86_DATA << 4) + 0x20], 0x22222222
        V86_BEGIN
        mov     eax, [0x10]
        mov     ebx, es:[0]
        add     eax, fs:[0]
        mov     cs:[0x100], eax
        V86_END
        EXPECT_END
        EXPECT_REG(ebx, 0x11111111)
        EXPECT([(V86_CODE << 4) + 0x100], 0x33333333)

        CASE "22.1.1: MOV, POP and LDS load any paragraph, without a descriptor"
        mov     dword ptr [0x12340], 0xabcd1234
        mov     dword ptr [(V86_DATA << 4)], 0x12340000
        V86_BEGIN
        mov     ax, 0x1234
        mov     es, ax
        mov     eax, es:[0]
        push    0x1234
        pop     fs
        mov     ebx, fs:[0]
        xor     ecx, ecx
        lds     cx, [0]
        mov     edx, [0]
        V86_END
        EXPECT_END
        EXPECT([x_eax], 0xabcd1234)
        EXPECT_REG(ebx, 0xabcd1234)
        EXPECT_REG(edx, 0xabcd1234)
        EXPECT([x_ds], 0x1234)

        CASE "FFFF:0010 is 0x100000: no wrap of its own"
        mov     eax, [0x100000]
        mov     ebp, eax
        V86_BEGIN
        mov     ax, 0xffff
        mov     ds, ax
        mov     eax, [0x10]
        V86_END
        EXPECT([x_eax], ebp)

        CASE "6.3: beyond 64 KiB is #GP(0), on the stack #SS(0)"
        V86     mov al, [0xffff]
        EXPECT_END
        V86     mov ax, [0xffff]
        EXPECT_FAULT(GP, 0)
        mov     ebx, 0x10000
        V86     mov al, [ebx]
        EXPECT_FAULT(GP, 0)
        mov     ebp, 0xfffe
        V86     mov eax, [ebp]
        EXPECT_FAULT(SS_FAULT, 0)

        CASE "6.3: a push onto offset 0xffff is #SS(0), one from 0 wraps"
        mov     dword ptr [v_esp], 1
        V86     push ax
        EXPECT_FAULT(SS_FAULT, 0)
        mov     dword ptr [v_esp], 0
        V86     push ax
        EXPECT_END
        EXPECT([x_esp], 0xfffe)
        mov     dword ptr [v_esp], V86_TOP

        CASE "a far JMP, CALL and RET go to any paragraph; CPL stays 3"
        mov     dword ptr [0xa000], 0xcbc88ccb  /* RETF; MOV AX, CS; RETF */
        V86_BEGIN
        .byte   0x9a                    /* CALL FAR 0xa00:1 */
        .word   1, 0xa00
        V86_END
        EXPECT_END
        movzx   edi, word ptr [x_eax]
        EXPECT_REG(edi, 0xa00)
        V86_BEGIN
        .byte   0xea                    /* JMP FAR into the same code by another paragraph */
        .word   0x15, V86_CODE - 1
        V86_END
        EXPECT([x_vector], UD)
        EXPECT([x_eip], 0x15)
        EXPECT([x_cs], V86_CODE - 1)

        CASE "a far jump and indirect near jumps, calls and returns beyond 0xffff are #GP(0), at the instruction"
        V86_BEGIN
        .byte   0x66, 0xea              /* JMP FAR 0x700:0x10000 */
        .long   0x10000
        .word   V86_CODE
        V86_END
        EXPECT_FAULT(GP, 0)
        mov     ebx, 0x10000
        V86     jmp ebx
        EXPECT_FAULT(GP, 0)
        V86     call ebx
        EXPECT_FAULT(GP, 0)
        EXPECT([x_esp], V86_TOP)
        V86_BEGIN
        push    ebx
        .byte   0x66, 0xc3              /* RET with a 32-bit offset */
        V86_END
        EXPECT_FAULT_AT(GP, 0, 2)
        EXPECT([x_esp], V86_TOP - 4)

        CASE "IRETD to an offset beyond 0xffff is #GP(0) before anything has changed"
        push    V86_DATA
        push    V86_DATA
        push    V86_DATA
        push    V86_DATA
        push    V86_STACK
        push    V86_TOP
        push    VM + 2
        push    V86_CODE
        push    0x10000
        CATCH   iretd
        EXPECT([x_vector], GP)
        EXPECT([x_error], 0)
        mov     eax, [x_site]
        EXPECT([x_eip], eax)
        add     esp, 36

        CASE "22.2.8: privileged instructions are #GP(0), IOPL or not"
        .irp    n, 0, IOPL
        mov     dword ptr [v_flags], 2 + \n
        V86     hlt
        EXPECT_FAULT(GP, 0)
        V86     mov eax, cr0
        EXPECT_FAULT(GP, 0)
        V86     mov cr3, eax
        EXPECT_FAULT(GP, 0)
        V86     mov eax, dr7
        EXPECT_FAULT(GP, 0)
        V86     clts
        EXPECT_FAULT(GP, 0)
        V86     lmsw ax
        EXPECT_FAULT(GP, 0)
        V86     lgdt [0]
        EXPECT_FAULT(GP, 0)
        V86     invlpg [0]
        EXPECT_FAULT(GP, 0)
        V86     wbinvd
        EXPECT_FAULT(GP, 0)
        V86     rdmsr
        EXPECT_FAULT(GP, 0)
        .endr

        CASE "22.2.8: SMSW and SGDT are not, without UMIP"
        V86     smsw ax
        EXPECT_END
        V86     sgdt [0]
        EXPECT_END

        CASE "instructions about selectors of protected mode are #UD"
        V86     lldt ax
        EXPECT_FAULT(UD, 0)
        V86     sldt ax
        EXPECT_FAULT(UD, 0)
        V86     ltr ax
        EXPECT_FAULT(UD, 0)
        V86     str ax
        EXPECT_FAULT(UD, 0)
        V86     lar eax, ax
        EXPECT_FAULT(UD, 0)
        V86     lsl eax, ax
        EXPECT_FAULT(UD, 0)
        V86     verr ax
        EXPECT_FAULT(UD, 0)
        V86     verw ax
        EXPECT_FAULT(UD, 0)
        V86     arpl ax, bx
        EXPECT_FAULT(UD, 0)

        CASE "22.2.7: with IOPL below 3 CLI, STI, PUSHF, POPF, INT n and IRET are #GP(0)"
        .irp    n, 0, 0x1000, 0x2000
        mov     dword ptr [v_flags], 2 + \n
        V86     cli
        EXPECT_FAULT(GP, 0)
        V86     sti
        EXPECT_FAULT(GP, 0)
        V86     pushf
        EXPECT_FAULT(GP, 0)
        V86     pushfd
        EXPECT_FAULT(GP, 0)
        V86     popf
        EXPECT_FAULT(GP, 0)
        V86     popfd
        EXPECT_FAULT(GP, 0)
        V86     int 0x80
        EXPECT_FAULT(GP, 0)
        V86     iret
        EXPECT_FAULT(GP, 0)
        V86     iretd
        EXPECT_FAULT(GP, 0)
        .endr

        CASE "INT 3 as INT n is sensitive to IOPL, the one-byte INT3 and INTO are not"
        mov     dword ptr [v_flags], 2
        V86_BEGIN
        .byte   0xcd, 3
        V86_END
        EXPECT_FAULT(GP, 0)
        V86     int3
        EXPECT_FAULT_AT(BP, 0, 1)
        mov     dword ptr [v_flags], 2 + 0x800
        V86     into
        EXPECT_FAULT_AT(OF, 0, 1)
        mov     dword ptr [v_flags], 2
        V86     into
        EXPECT_END

        CASE "INT3 and INTO through a gate whose DPL is below 3 are #GP with the vector"
        mov     byte ptr [idt + BP * 8 + 5], 0x8e
        V86     int3
        mov     byte ptr [idt + BP * 8 + 5], 0xee
        EXPECT_FAULT(GP, BP * 8 + 2)

        CASE "BOUND raises #BR whatever IOPL and DPL are"
        mov     dword ptr [(V86_DATA << 4)], 0x00200010
        mov     eax, 5
        V86     bound ax, [0]
        EXPECT_FAULT(BR, 0)

        CASE "22.2.7: with IOPL 3 CLI, STI and POPF change IF"
        mov     dword ptr [v_flags], 2 + IOPL + IF
        V86     cli
        EXPECT_END
        EXPECT_FLAGS(IF, 0)
        mov     dword ptr [v_flags], 2 + IOPL
        V86     sti
        EXPECT_END
        EXPECT_FLAGS(IF, IF)
        V86_BEGIN
        push    0x202
        popf
        V86_END
        EXPECT_END
        EXPECT_FLAGS(IF, IF)

        CASE "POPF and POPFD leave IOPL, VM, VIF and VIP"
        V86_BEGIN
        push    0x0002
        popf
        V86_END
        EXPECT_FLAGS(IOPL, IOPL)
        V86_BEGIN
        pushd   VIF + VIP + 2
        popfd
        V86_END
        EXPECT_END
        EXPECT_FLAGS(IOPL + VM + VIF + VIP, IOPL + VM)

        CASE "PUSHFD shows IOPL, and VM and RF as 0"
        V86_BEGIN
        pushfd
        pop     eax
        V86_END
        mov     edi, [x_eax]
        and     edi, VM + RF + IOPL
        EXPECT_REG(edi, IOPL)

        CASE "IRET pops IP, CS and FLAGS; IOPL stays"
        V86_BEGIN
        pushf
        pop     ax
        and     ax, 0xcfff
        or      ax, CF
        push    ax
        push    V86_CODE - 2
        push    offset 9f - 8b + 0x20
        iret
        V86_END
        EXPECT([x_vector], UD)
        EXPECT([x_cs], V86_CODE - 2)
        mov     edi, [v_end]
        add     edi, 0x20
        EXPECT([x_eip], edi)
        EXPECT_FLAGS(CF + IOPL + VM, CF + IOPL + VM)
        EXPECT([x_esp], V86_TOP)

        CASE "IRETD pops double words; VM, IOPL, VIF and VIP stay; beyond 0xffff it is #GP(0)"
        V86_BEGIN
        pushd   VIF + VIP + ID + AC + 2
        pushd   V86_CODE
        pushd   1f - 8b
        iretd
1:      nop
        V86_END
        EXPECT_END
        EXPECT_FLAGS(IOPL + VM + VIF + VIP + ID + AC, IOPL + VM + ID + AC)
        V86_BEGIN
        pushd   2
        pushd   V86_CODE
        pushd   0x10000
1:      iretd
        V86_END
        EXPECT([x_vector], GP)
        EXPECT([x_error], 0)
        EXPECT([x_esp], V86_TOP - 12)

        CASE "NT does not make IRET a return from a task"
        mov     dword ptr [v_flags], 2 + IOPL + NT
        V86_BEGIN
        push    2
        push    V86_CODE
        push    offset 1f - 8b
        iret
1:      nop
        V86_END
        EXPECT_END
        mov     dword ptr [v_flags], 2 + IOPL

        CASE "22.3.1: INT n with IOPL 3 goes through the IDT, with the return address behind it"
        V86     int 0x80
        EXPECT_FAULT_AT(0x80, 0, 2)
        EXPECT_FLAGS(VM + RF, VM)

        CASE "INT n through a gate of DPL 0 is #GP with the vector"
        V86     int 0x82
        EXPECT_FAULT(GP, 0x82 * 8 + 2)

        CASE "22.3.1: the handler's segment must have DPL 0 and not be conforming, otherwise #GP with its selector"
        mov     dword ptr [spare], 0xffff
        mov     dword ptr [spare + 4], 0x00cf9f00
        mov     word ptr [idt + 0x81 * 8 + 2], SPARE
        V86     int 0x81
        EXPECT_FAULT(GP, SPARE)
        mov     byte ptr [spare + 5], 0xbb
        V86     int 0x81
        EXPECT_FAULT(GP, SPARE)
        mov     byte ptr [spare + 5], 0xfb
        V86     int 0x81
        EXPECT_FAULT(GP, SPARE)
        mov     word ptr [idt + 0x81 * 8 + 2], CODE

        CASE "a trap gate leaves IF"
        mov     dword ptr [v_flags], 2 + IOPL + IF
        mov     byte ptr [idt + 0x81 * 8 + 5], 0xef
        V86     int 0x81
        mov     byte ptr [idt + 0x81 * 8 + 5], 0xee
        mov     edi, [x_handler_flags]
        and     edi, IF + VM
        EXPECT_REG(edi, IF)
        V86     int 0x81
        mov     edi, [x_handler_flags]
        and     edi, IF + VM
        EXPECT_REG(edi, 0)
        mov     dword ptr [v_flags], 2 + IOPL

        CASE "22.4: a port needs its bit in the I/O permission map, whatever IOPL is"
        mov     byte ptr [io_map], 0x02
        mov     byte ptr [io_map + 2], 0x80
        .irp    n, 0, IOPL
        mov     dword ptr [v_flags], 2 + \n
        V86     in al, 0
        EXPECT_END
        V86     in al, 1
        EXPECT_FAULT(GP, 0)
        V86     in ax, 0
        EXPECT_FAULT(GP, 0)
        mov     edx, 0x14
        V86     in eax, dx
        EXPECT_FAULT(GP, 0)
        .endr

        CASE "20.5.2 of volume 1: two bytes of the map are read, also for the last port that it has"
        mov     edx, 14 * 8 + 7
        V86     in al, dx
        EXPECT_END
        mov     edx, 15 * 8
        V86     in al, dx
        EXPECT_FAULT(GP, 0)
        mov     edx, 0xfff0
        V86     in al, dx
        EXPECT_FAULT(GP, 0)
        mov     edx, 1
        V86     outsb
        EXPECT_FAULT(GP, 0)

        CASE "#DE, with RF in the image"
        V86_BEGIN
        xor     ecx, ecx
        div     cx
        V86_END
        EXPECT_FAULT_AT(DE, 0, 3)
        EXPECT_FLAGS(RF + VM, RF + VM)

        CASE "TF: #DB after the first instruction, TF in the image and not in the handler"
        mov     dword ptr [v_flags], 2 + TF
        V86     nop
        EXPECT_FAULT_AT(DB, 0, 1)
        EXPECT_FLAGS(TF + VM + RF, TF + VM)
        mov     edi, [x_handler_flags]
        and     edi, TF
        EXPECT_REG(edi, 0)
        xor     eax, eax
        mov     dr6, eax

        CASE "6.9.7: INT n with TF: the handler is not stepped"
        mov     dword ptr [v_flags], 2 + TF + IOPL
        V86     int 0x80
        EXPECT_FAULT_AT(0x80, 0, 2)
        EXPECT_FLAGS(TF, TF)

        CASE "#AC: CPL is 3"
        mov     eax, cr0
        or      eax, 0x40000
        mov     cr0, eax
        mov     dword ptr [v_flags], 2 + AC
        V86     mov ax, [1]
        EXPECT_FAULT(AC_FAULT, 0)
        V86     mov ax, [2]
        EXPECT_END
        V86     mov al, [1]
        EXPECT_END
        mov     eax, cr0
        and     eax, ~0x40000
        mov     cr0, eax

        CASE "22.3.1: a maskable interrupt leaves before the first instruction; IF counts, not IOPL"
        mov     edx, LAPIC
        mov     dword ptr [edx + 0xf0], 0x1ff
        mov     dword ptr [edx + 0x80], 0
        mov     dword ptr [edx + 0x300], 0x44000 + 0x51
        mov     dword ptr [v_flags], 2 + IF
        V86     nop
        EXPECT_FAULT_AT(0x51, 0, 0)
        EXPECT_FLAGS(VM + IF, VM + IF)
        mov     edx, LAPIC
        mov     dword ptr [edx + 0xb0], 0
        mov     dword ptr [edx + 0x300], 0x44000 + 0x52
        mov     dword ptr [v_flags], 2 + IOPL
        V86     nop
        EXPECT_END
        V86_BEGIN
        sti
        nop
        nop
        V86_END
        EXPECT_FAULT_AT(0x52, 0, 2)
        mov     edx, LAPIC
        mov     dword ptr [edx + 0xb0], 0

        CASE "a 16-bit gate pushes words"
        GATE_IS 0x81, CODE16, 0xa100, 0xe6
        mov     byte ptr [0xa100], 0x0f         /* UD2: the frame below is looked at */
        mov     byte ptr [0xa101], 0x0b
        mov     dword ptr [v_flags], 2 + IOPL
        V86     int 0x81
        EXPECT([x_vector], UD)
        EXPECT([x_cs], CODE16)
        movzx   edi, word ptr [esp0_end - 18]
        EXPECT_REG(edi, 2)
        movzx   edi, word ptr [esp0_end - 16]
        EXPECT_REG(edi, V86_CODE)
        movzx   edi, word ptr [esp0_end - 14]
        EXPECT_REG(edi, 2 + IOPL)
        movzx   edi, word ptr [esp0_end - 12]
        EXPECT_REG(edi, V86_TOP)
        movzx   edi, word ptr [esp0_end - 10]
        EXPECT_REG(edi, V86_STACK)
        movzx   edi, word ptr [esp0_end - 2]
        EXPECT_REG(edi, V86_DATA + 3)

        CASE "22.3.2: through a task gate the old task keeps VM in its image, and IRET goes back"
        mov     dword ptr [task_tss + 32], offset task_entry
        mov     dword ptr [task_tss + 36], 2
        mov     dword ptr [task_tss + 56], offset task_stack_end
        mov     word ptr [task_tss + 76], CODE
        .irp    segment, 72, 80, 84, 88, 92
        mov     word ptr [task_tss + \segment], DATA
        .endr
        GATE_IS 0x81, TASK, 0, 0xe5
        V86_BEGIN
        int     0x81
        mov     ax, ds
        V86_END
        EXPECT_END
        mov     edi, [task_flags]
        and     edi, VM + NT + IOPL
        EXPECT_REG(edi, VM + IOPL)
        movzx   edi, word ptr [x_eax]
        EXPECT_REG(edi, V86_DATA)
        EXPECT([x_ds], V86_DATA)
        EXPECT([x_gs], V86_DATA + 3)

        CASE "IRETD at CPL 3 ignores VM in the image"
        mov     dword ptr [x_resume], offset 2f
        mov     [x_resume_esp], esp
        push    USER_DATA
        push    offset task_stack_end
        push    2
        push    USER_CODE
        push    offset 1f
        iretd
1:      pushd   VM + 2
        pushd   USER_CODE
        pushd   offset 3f
        iretd
3:      int     0x80
2:      mov     dword ptr [x_resume], 0
        EXPECT([x_vector], 0x80)
        EXPECT([x_cs], USER_CODE)
        EXPECT_FLAGS(VM, 0)

        CASE "execution does not run over offset 0xffff"
        mov     byte ptr [(V86_CODE << 4) + 0xffff], 0x90
        V86_BEGIN
        .byte   0xe9                    /* JMP 0xffff */
        .word   0xfffc
        V86_END
        EXPECT_FAULT_AT(GP, 0, 0x10000)
        ret
