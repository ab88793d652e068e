/*
 * Call gates and direct far transfers in 32-bit protected mode: SDM volume 3A, "Privilege Level Checking When Transferring
 * Program Control Between Code Segments", 6.8. What a gate leads to is `target`, which ends by INT 80H.
 */
#include "protected.h"

#define GATE SPARE
#define USER_CODE0 0x18
#define USER_DATA0 0x20
#define CODE1 0x38
#define DATA1 0x40
#define CONFORMING 0x48
#define ODD 0x50
#define CODE16 0x58
#define TSS16 0x60
#define code1 spare2
#define data1 spare3
#define conforming spare3 + 8
#define odd spare3 + 16
#define code16 spare3 + 24
#define tss16_descriptor spare3 + 32

#define GATE32 0x8c
#define ABSENT_GATE32 0x0c
#define GATE16 0x84
#define DPL3 0x60

        .macro GATE_IS selector, entry, access, parameters=0
        mov     eax, offset \entry
        mov     [spare], ax
        mov     word ptr [spare + 2], \selector
        mov     word ptr [spare + 4], \parameters + ((\access) << 8)
        shr     eax, 16
        mov     [spare + 6], ax
        .endm

        .macro DESCRIPTOR_IS slot, low, high
        mov     dword ptr [\slot], \low
        mov     dword ptr [\slot + 4], \high
        .endm

        .macro FAR_CALL selector
        .byte   0x9a
        .long   0x55555555              /* a gate has the offset */
        .word   \selector
        .endm

        .macro FAR_JUMP selector, offset=0x55555555
        .byte   0xea
        .long   \offset
        .word   \selector
        .endm

        /* The stack of level 1 in the TSS. */
        .macro STACK1_IS selector, pointer
        mov     dword ptr [tss + 12], offset \pointer
        mov     dword ptr [tss + 16], \selector
        .endm

        .macro LOAD_TSS limit
        mov     word ptr [tss_descriptor], \limit
        mov     byte ptr [tss_descriptor + 5], 0x89
        mov     eax, TSS
        ltr     ax
        .endm

#define EXPECT_TARGET(cs) \
        EXPECT([x_vector], 0x80); EXPECT([x_eip], offset target + 2); EXPECT([x_cs], cs)
        /* A double word, or a word, of the frame that the target found. */
#define EXPECT_FRAME(at, value) mov edx, [x_esp]; EXPECT([edx + at], value)
#define EXPECT_WORD(at, value) mov edx, [x_esp]; movzx edx, word ptr [edx + at]; EXPECT_REG(edx, value)

        .bss
        .balign 16
tss16:          .skip 44
                .skip 4096
esp1_end:

        .text
        .code32
target: int     0x80

popping_target:
        pop     ebp
        pop     esi
        int     0x80

main:
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        DESCRIPTOR_IS code1, 0xffff, 0x00cfbb00
        DESCRIPTOR_IS data1, 0xffff, 0x00cfb300
        DESCRIPTOR_IS conforming, 0xffff, 0x00cf9f00
        DESCRIPTOR_IS code16, 0xffff, 0x00009b00
        STACK1_IS DATA1+1, esp1_end

        CASE "6.8.4: CALL through a gate of the same privilege pushes CS and EIP and takes the gate's offset"
        GATE_IS CODE, popping_target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT([x_vector], 0x80)
        EXPECT([x_cs], CODE)
        mov     eax, [x_site]
        add     eax, 7
        EXPECT_REG(ebp, eax)
        EXPECT_REG(esi, CODE)

        CASE "6.8.4: neither CPL nor RPL may be above the gate's DPL: #GP with the gate's selector"
        CATCH   FAR_CALL GATE+3
        EXPECT_FAULT(GP, GATE)
        CATCH_USER FAR_CALL GATE
        EXPECT_FAULT(GP, GATE)
        CATCH_USER FAR_JUMP GATE+3
        EXPECT_FAULT(GP, GATE)

        CASE "the gate's DPL is looked at before its P"
        GATE_IS CODE, target, ABSENT_GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(NP, GATE)
        CATCH_USER FAR_CALL GATE
        EXPECT_FAULT(GP, GATE)

        CASE "the RPL of the gate's code-segment selector does not count"
        GATE_IS CODE+3, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_TARGET(CODE)

        CASE "CALL: a null selector in the gate is #GP(0), one beyond the table #GP with it"
        GATE_IS 0, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(GP, 0)
        GATE_IS 3, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(GP, 0)
        GATE_IS 0x1000, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(GP, 0x1000)

        CASE "CALL: what the gate names must be code, of DPL not above CPL, and present"
        GATE_IS DATA, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(GP, DATA)
        GATE_IS USER_CODE, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(GP, USER_CODE0)
        GATE_IS TSS, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(GP, TSS)
        DESCRIPTOR_IS odd, 0xffff, 0x00cf1b00
        GATE_IS ODD, target, GATE32
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(NP, ODD)

        CASE "an offset beyond the limit of the segment is #GP(0), and nothing is pushed"
        DESCRIPTOR_IS odd, 0xffff, 0x00409b00
        GATE_IS ODD, target, GATE32
        mov     dword ptr [stack_end - 4096], 0
        CATCH   FAR_CALL GATE
        EXPECT_FAULT(GP, 0)
        mov     eax, [x_handler_esp]
        add     eax, 20
        EXPECT([x_resume_esp], eax)

        CASE "CALL and JMP to a system descriptor that is no gate and no TSS are #GP with its selector"
        .irp    type, 0, 2, 6, 7, 8, 0xb, 0xd, 0xe, 0xf
        mov     byte ptr [odd + 5], 0x80 + \type
        CATCH   FAR_CALL ODD
        EXPECT_FAULT(GP, ODD)
        CATCH   FAR_JUMP ODD
        EXPECT_FAULT(GP, ODD)
        .endr

        CASE "JMP through a gate stays at its privilege: an inner segment is #GP, a conforming one is entered with this CPL"
        GATE_IS CODE, target, GATE32+DPL3
        CATCH_USER FAR_JUMP GATE+3
        EXPECT_FAULT(GP, CODE)
        GATE_IS USER_CODE, target, GATE32+DPL3
        CATCH_USER FAR_JUMP GATE+3
        EXPECT_TARGET(USER_CODE)
        GATE_IS CONFORMING, target, GATE32+DPL3
        CATCH_USER FAR_JUMP GATE+3
        EXPECT_TARGET(CONFORMING + 3)
        EXPECT([x_ss], USER_DATA)
        EXPECT([x_esp], offset user_stack_end)

        CASE "CALL through a gate to a conforming segment keeps CPL and stack"
        CATCH_USER FAR_CALL GATE+3
        EXPECT_TARGET(CONFORMING + 3)
        EXPECT([x_ss], USER_DATA)
        EXPECT([x_esp], offset user_stack_end - 8)
        EXPECT_FRAME(4, USER_CODE)

        CASE "6.8.5: CALL to CPL 1 takes SS1 and ESP1 and pushes SS, ESP, CS and EIP"
        GATE_IS CODE1, target, GATE32+DPL3
        CATCH_USER FAR_CALL GATE+3
        EXPECT_TARGET(CODE1 + 1)
        EXPECT([x_ss], DATA1 + 1)
        EXPECT([x_esp], offset esp1_end - 16)
        mov     eax, [x_site]
        add     eax, 7
        EXPECT_FRAME(0, eax)
        EXPECT_FRAME(4, USER_CODE)
        EXPECT_FRAME(8, offset user_stack_end)
        EXPECT_FRAME(12, USER_DATA)

        CASE "6.8.5: 31 parameters lie above CS, in the order of the outer stack"
        GATE_IS CODE1, target, GATE32+DPL3, 31
        CATCH_USER call push_31
        EXPECT_TARGET(CODE1 + 1)
        EXPECT([x_esp], offset esp1_end - 16 - 31 * 4)
        EXPECT_FRAME(8, 31)
        EXPECT_FRAME(8 + 30 * 4, 1)
        EXPECT_FRAME(8 + 31 * 4, offset user_stack_end - 4 - 31 * 4)
        EXPECT_FRAME(12 + 31 * 4, USER_DATA)

        CASE "the upper three bits of the parameter count do not count"
        GATE_IS CODE1, target, GATE32+DPL3, 0xe0
        CATCH_USER FAR_CALL GATE+3
        EXPECT_TARGET(CODE1 + 1)
        EXPECT([x_esp], offset esp1_end - 16)

        CASE "parameters beyond the outer stack are #SS(0)"
        GATE_IS CODE1, target, GATE32+DPL3, 2
        DESCRIPTOR_IS odd, 0, 0x00c0f300
        mov     dword ptr [x_vector], NONE
        mov     dword ptr [x_resume], offset 1f
        mov     [x_resume_esp], esp
        mov     dword ptr [x_site], offset 2f
        push    ODD + 3
        push    0x1000 - 4
        push    2
        push    USER_CODE
        push    offset 2f
        iretd
2:      FAR_CALL GATE+3
1:      mov     dword ptr [x_resume], 0
        EXPECT_FAULT(SS_FAULT, 0)

        CASE "the new stack: a null selector is #TS(0)"
        GATE_IS CODE1, target, GATE32+DPL3
        STACK1_IS 0, esp1_end
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(TS_FAULT, 0)

        CASE "the new stack: RPL and DPL must be those of the new CPL, the segment writable data in the table: #TS"
        .irp    selector, DATA1, DATA1+3, DATA+1, CODE1+1, 0x1001
        STACK1_IS \selector, esp1_end
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(TS_FAULT, (\selector & 0xfffc))
        .endr
        DESCRIPTOR_IS odd, 0xffff, 0x00cfb100
        STACK1_IS ODD+1, esp1_end
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(TS_FAULT, ODD)

        CASE "the new stack: not present is #SS with its selector, also without room for the frame"
        DESCRIPTOR_IS odd, 0xffff, 0x00cf3300
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(SS_FAULT, ODD)
        DESCRIPTOR_IS odd, 0xfff, 0x0040b300
        STACK1_IS ODD+1, 0x1010
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(SS_FAULT, ODD)
        STACK1_IS ODD+1, 12
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(SS_FAULT, ODD)
        STACK1_IS DATA1+1, esp1_end

        CASE "the new stack: a TSS that does not reach so far is #TS with its selector"
        LOAD_TSS 16
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(TS_FAULT, TSS)
        LOAD_TSS 17
        CATCH_USER FAR_CALL GATE+3
        EXPECT_TARGET(CODE1 + 1)
        LOAD_TSS 103

        CASE "the new stack is looked at before the gate's offset"
        GATE_IS CODE16, 0x12345, GATE32+DPL3
        DESCRIPTOR_IS code16, 0xffff, 0x0000bb00
        STACK1_IS 0, 0
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(TS_FAULT, 0)
        STACK1_IS DATA1+1, esp1_end
        CATCH_USER FAR_CALL GATE+3
        EXPECT_FAULT(GP, 0)

        CASE "a 16-bit gate pushes words"
        mov     dword ptr [0x6ffc], 0x5e665d66  /* POP BP, POP SI, INT 80H */
        mov     word ptr [0x7000], 0x80cd
        GATE_IS CODE, 0x6ffc, GATE16
        xor     ebp, ebp
        xor     esi, esi
        CATCH   FAR_CALL GATE
        EXPECT([x_vector], 0x80)
        EXPECT([x_eip], 0x7002)
        EXPECT([x_cs], CODE)
        mov     eax, [x_site]
        add     eax, 7
        and     eax, 0xffff
        EXPECT_REG(ebp, eax)
        EXPECT_REG(esi, CODE)

        CASE "a 16-bit gate copies words, SP and SS too"
        GATE_IS CODE1, 0x7000, GATE16+DPL3, 2
        CATCH_USER call push_words
        EXPECT([x_eip], 0x7002)
        EXPECT([x_cs], CODE1 + 1)
        EXPECT([x_esp], offset esp1_end - 12)
        EXPECT_WORD(2, USER_CODE)
        EXPECT_WORD(4, 0x2222)
        EXPECT_WORD(6, 0x1111)
        mov     eax, offset user_stack_end - 8
        and     eax, 0xffff
        EXPECT_WORD(8, eax)
        EXPECT_WORD(10, USER_DATA)

        CASE "a 16-bit TSS has its stacks elsewhere"
        mov     eax, offset tss16
        mov     word ptr [tss16_descriptor], 43
        mov     [tss16_descriptor + 2], ax
        shr     eax, 16
        mov     [tss16_descriptor + 4], al
        mov     byte ptr [tss16_descriptor + 5], 0x81
        mov     word ptr [tss16 + 2], 0x6ff0
        mov     word ptr [tss16 + 4], DATA
        mov     word ptr [tss16 + 6], 0x7ff0
        mov     word ptr [tss16 + 8], DATA1 + 1
        mov     eax, TSS16
        ltr     ax
        GATE_IS CODE1, target, GATE32+DPL3
        CATCH_USER FAR_CALL GATE+3
        EXPECT_TARGET(CODE1 + 1)
        EXPECT([x_ss], DATA1 + 1)
        EXPECT([x_esp], 0x7fe0)
        EXPECT([x_handler_esp], 0x6ff0 - 28)
        LOAD_TSS 103

        CASE "RET from CPL 1 releases the parameters on both stacks and drops segments of CPL 1"
        GATE_IS CODE1, return_2, GATE32+DPL3, 2
        mov     dword ptr [x_vector], NONE
        mov     dword ptr [x_resume], offset 1f
        mov     [x_resume_esp], esp
        push    USER_DATA
        push    offset user_stack_end
        push    2
        push    USER_CODE
        push    offset 2f
        iretd
2:      push    0x1111
        push    0x2222
        FAR_CALL GATE+3
        mov     ebx, fs
        mov     edx, gs
        int     0x80
1:      mov     dword ptr [x_resume], 0
        EXPECT([x_vector], 0x80)
        EXPECT([x_cs], USER_CODE)
        EXPECT([x_ss], USER_DATA)
        EXPECT([x_esp], offset user_stack_end)
        and     ebx, 0xffff
        EXPECT_REG(ebx, 0)
        and     edx, 0xffff
        EXPECT_REG(edx, USER_DATA)

        CASE "RET to an inner privilege level is #GP with the selector"
        CATCH_USER call return_inner
        EXPECT([x_vector], GP)
        EXPECT([x_error], CODE)

        CASE "RET outwards: SS null is #GP(0), of another DPL or RPL #GP with it, not present #SS"
        .irp    selector, 0, 3
        push    \selector
        push    0
        push    USER_CODE
        push    offset target
        CATCH   retf
        EXPECT_FAULT(GP, 0)
        add     esp, 16
        .endr
        .irp    selector, DATA, DATA+3, DATA1+3, USER_DATA0, USER_CODE
        push    \selector
        push    0
        push    USER_CODE
        push    offset target
        CATCH   retf
        EXPECT_FAULT(GP, (\selector & 0xfffc))
        add     esp, 16
        .endr
        DESCRIPTOR_IS odd, 0xffff, 0x00cf7300
        push    ODD + 3
        push    0
        push    USER_CODE
        push    offset target
        CATCH   retf
        EXPECT_FAULT(SS_FAULT, ODD)
        add     esp, 16

        CASE "RET: null CS is #GP(0); data, another DPL and RPL below CPL #GP with it; not present #NP"
        push    0
        push    offset target
        CATCH   retf
        EXPECT_FAULT(GP, 0)
        .irp    selector, DATA, CODE+1, CODE1+2, USER_CODE0
        mov     dword ptr [esp + 4], \selector
        CATCH   retf
        EXPECT_FAULT(GP, (\selector & 0xfffc))
        .endr
        DESCRIPTOR_IS odd, 0xffff, 0x00cf1b00
        mov     dword ptr [esp + 4], ODD
        CATCH   retf
        EXPECT_FAULT(NP, ODD)
        add     esp, 8

        CASE "6.8.1: a direct jump to a nonconforming segment needs its DPL and an RPL not above CPL"
        CATCH   FAR_JUMP CODE+3, target
        EXPECT_FAULT(GP, CODE)
        CATCH   FAR_JUMP CODE1, target
        EXPECT_FAULT(GP, CODE1)
        CATCH_USER FAR_JUMP CODE, target
        EXPECT_FAULT(GP, CODE)
        CATCH_USER FAR_JUMP USER_CODE0, target
        EXPECT_TARGET(USER_CODE)

        CASE "6.8.1.2: a direct jump to a conforming segment needs DPL not above CPL, whatever RPL is"
        CATCH_USER FAR_JUMP CONFORMING, target
        EXPECT_TARGET(CONFORMING + 3)
        CATCH   FAR_JUMP CONFORMING+3, target
        EXPECT_TARGET(CONFORMING)
        mov     byte ptr [conforming + 5], 0xbf
        CATCH   FAR_JUMP CONFORMING, target
        EXPECT_FAULT(GP, CONFORMING)

        CASE "an exception with a conforming handler is handled at the CPL of the program"
        mov     byte ptr [conforming + 5], 0x9f
        mov     word ptr [idt + UD * 8 + 2], CONFORMING
        mov     eax, offset target
        mov     [idt + UD * 8], ax
        shr     eax, 16
        mov     [idt + UD * 8 + 6], ax
        CATCH_USER ud2
        EXPECT_TARGET(CONFORMING + 3)
        EXPECT([x_ss], USER_DATA)
        EXPECT([x_esp], offset user_stack_end - 12)
        EXPECT_FRAME(4, USER_CODE)

        CASE "a 16-bit gate has an offset of 16 bits"
        GATE_IS CODE, 0x12347000, GATE16
        CATCH   FAR_CALL GATE
        EXPECT([x_vector], 0x80)
        EXPECT([x_eip], 0x7002)
        ret

push_31:
        .set    parameter, 1
        .rept   31
        push    parameter
        .set    parameter, parameter + 1
        .endr
        FAR_CALL GATE+3

push_words:
        pushw   0x1111
        pushw   0x2222
        FAR_CALL GATE+3

return_2:
        mov     eax, DATA1 + 1
        mov     fs, eax
        mov     eax, USER_DATA
        mov     gs, eax
        retf    8

return_inner:
        push    CODE
        push    offset target
        retf
