/*
 * The beginning of a guest in 32-bit protected mode, with a gdt and an idt of its own: `gdtr` has the flat segments CODE and DATA,
 * `stubs` is 256 pieces of code of 16 bytes, the handlers of the vectors.
 */
        .intel_syntax noprefix

        .macro LOAD_SEGMENTS
        cli
        mov     esp, offset stack_end
        lgdt    [gdtr]
        push    CODE
        push    offset 1f
        retf
1:      mov     eax, DATA
        mov     ss, eax
        mov     ds, eax
        mov     es, eax
        mov     fs, eax
        mov     gs, eax
        .endm

        /* Interrupt gates at CPL 0. */
        .macro GATES_TO_STUBS
        xor     ecx, ecx
        mov     esi, offset stubs
2:      mov     eax, esi
        and     eax, 0xffff
        or      eax, CODE << 16
        mov     [idt + ecx * 8], eax
        mov     eax, esi
        mov     ax, 0x8e00
        mov     [idt + ecx * 8 + 4], eax
        add     esi, 16
        inc     ecx
        cmp     ecx, 256
        jne     2b
        .endm

        /* Of every vector: its number, over an error code, and on to common_stub. */
        .macro STUBS
        .balign 16
stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        push    0
        .endif
        push    vector
        jmp     common_stub
        .set    vector, vector + 1
        .endr
        .endm
