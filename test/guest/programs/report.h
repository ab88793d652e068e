/*
 * Tests that a program makes of itself. CASE "sentence" begins one and ends the one before; EXPECT compares. Lines go to
 * port 0xe9 (`ok sentence`, `FAILED sentence`, and before that what was found instead), END_TESTS leaves the machine
 * through port 0xf4 with the number of failures. The same macros for 32-bit and 64-bit code, by WORD.
 */
#ifndef WORD
#define WORD 8
#endif

#if WORD == 8
#define AX rax
#define BX rbx
#define CX rcx
#define DX rdx
#define SI rsi
#define SP rsp
#define WORD_PTR qword ptr
#define PUSH_FLAGS pushfq
#define POP_FLAGS popfq
#else
#define AX eax
#define BX ebx
#define CX ecx
#define DX edx
#define SI esi
#define SP esp
#define WORD_PTR dword ptr
#define PUSH_FLAGS pushfd
#define POP_FLAGS popfd
#endif

        .intel_syntax noprefix

        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 0, -0x1badb002

        .macro CASE sentence
        .pushsection .rodata
.Lsentence\@: .asciz "\sentence"
        .popsection
        push offset .Lsentence\@
        call begin_test
        .endm

/* What is compared is pushed: a memory operand or a register of the word's size, and a register or 32-bit constant. */
#define EXPECT_REG(got, want) push got; push want; push __LINE__; call compare
#define EXPECT(got, want) push WORD_PTR got; push want; push __LINE__; call compare

        .macro END_TESTS
        jmp end_tests
        .endm

        .bss
        .balign 8
sentence:       .skip 8
failed:         .skip 8
failures:       .skip 8

        .text
#if WORD == 8
        .code64
#else
        .code32
#endif
/* Prints the text at SI. */
print:
        PUSH_FLAGS
        cld
1:      lodsb
        test    al, al
        jz      2f
        out     0xe9, al
        jmp     1b
2:      POP_FLAGS
        ret

/* Prints AX in hexadecimal, without leading zeros. */
print_hex:
        push    BX
        push    CX
        push    AX
        mov     BX, AX
        mov     ecx, WORD * 8
1:      sub     ecx, 4
        jz      2f
        mov     AX, BX
        shr     AX, cl
        jz      1b
2:      mov     AX, BX
        shr     AX, cl
        and     al, 15
        add     al, 48
        cmp     al, 58
        jb      3f
        add     al, 39
3:      out     0xe9, al
        sub     ecx, 4
        jns     2b
        pop     AX
        pop     CX
        pop     BX
        ret

begin_test:
        PUSH_FLAGS
        push    AX
        push    SI
        call    end_test
        mov     AX, [SP + 4 * WORD]
        mov     [sentence], AX
        mov     dword ptr [failed], 0
        pop     SI
        pop     AX
        POP_FLAGS
        ret     WORD

end_test:
        cmp     WORD_PTR [sentence], 0
        je      2f
        mov     SI, offset ok_text
        cmp     dword ptr [failed], 0
        je      1f
        inc     dword ptr [failures]
        mov     SI, offset failed_text
1:      call    print
        mov     SI, [sentence]
        call    print
        mov     al, 10
        out     0xe9, al
2:      ret

end_tests:
        call    end_test
        mov     al, [failures]
        out     0xf4, al
        cli
        hlt

/* compare(got, want, line) */
compare:
        PUSH_FLAGS
        push    AX
        push    SI
        mov     AX, [SP + 6 * WORD]
        cmp     AX, [SP + 5 * WORD]
        je      1f
        mov     dword ptr [failed], 1
        mov     SI, offset line_text
        call    print
        mov     AX, [SP + 4 * WORD]
        call    print_hex
        mov     SI, offset got_text
        call    print
        mov     AX, [SP + 6 * WORD]
        call    print_hex
        mov     SI, offset want_text
        call    print
        mov     AX, [SP + 5 * WORD]
        call    print_hex
        mov     al, 10
        out     0xe9, al
1:      pop     SI
        pop     AX
        POP_FLAGS
        ret     3 * WORD

        .section .rodata
ok_text:        .asciz "ok "
failed_text:    .asciz "FAILED "
line_text:      .asciz "  line 0x"
got_text:       .asciz ": got 0x"
want_text:      .asciz ", wanted 0x"
        .text
