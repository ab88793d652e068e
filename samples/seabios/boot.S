/*
 * A boot sector that asks the BIOS for what it has: video (INT 10h), disks (13h), memory (15h) and the keyboard (16h). The
 * first sector loads the next three, which ask the questions and print the answers. Ends with a write to port 0xf4.
 *
 * IBM, Personal System/2 and Personal Computer BIOS Interface Technical Reference; Phoenix, Enhanced Disk Drive
 * Specification 1.1; ACPI, "INT 15H, E820H - Query System Address Map".
 */
        .code16
        .set SECTOR, 512
        .set REST, 3                    # sectors behind the first
        .set TEXT_SECTOR, 4             # where the text lies that is read by its linear address
        .set SCRATCH_SECTOR, 100
        .set BUFFER, 0x9000
        .set SMAP, 0x534d4150
        .set EXIT_PORT, 0xf4
        .set EXIT_VALUE, 0x10

        .macro  say text
        call    print
        .asciz  "\text"
        .endm

        .text
        .globl  start
start:
        ljmp    $0, $1f
1:      xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        cli
        mov     %ax, %ss
        mov     $start, %sp
        sti
        cld
        mov     %dl, drive
        say     "boot sector of drive "
        mov     drive, %al
        call    print_byte
        call    new_line

        # INT 13h, AH=02h: sectors by cylinder, head and sector, which counts from 1.
        mov     $(0x0200 | REST), %ax
        mov     $0x0002, %cx
        xor     %dh, %dh
        mov     drive, %dl
        mov     $rest, %bx
        int     $0x13
        jc      failed
        cmpl    $0x74736572, signature
        jne     failed
        say     "INT 13h AH=02h: read by cylinder, head and sector\r\n"
        jmp     questions

failed:
        say     "FAILED\r\n"
        mov     $0xff, %al
        jmp     end

        # The text behind the call, which ends with a zero. Changes AX, SI.
print:
        pop     %si
1:      lodsb
        test    %al, %al
        jz      2f
        call    put
        jmp     1b
2:      jmp     *%si

        # AL on the screen. INT 10h, AH=0Eh: as on a teletype.
put:
        push    %bx
        mov     $0x0e, %ah
        mov     $0x0007, %bx
        int     $0x10
        pop     %bx
        ret

new_line:
        mov     $'\r', %al
        call    put
        mov     $'\n', %al
        jmp     put

print_double:                           # EAX
        push    %eax
        shr     $16, %eax
        call    print_word
        pop     %eax
print_word:                             # AX
        push    %ax
        mov     %ah, %al
        call    print_byte
        pop     %ax
print_byte:                             # AL
        push    %ax
        shr     $4, %al
        call    digit
        pop     %ax
        and     $0xf, %al
digit:
        add     $'0', %al
        cmp     $'9', %al
        jbe     put
        add     $('a' - '0' - 10), %al
        jmp     put

        # SeaBIOS sends the last characters with a tick of the timer.
end:
        hlt
        hlt
        mov     $EXIT_PORT, %dx
        out     %al, %dx
1:      hlt
        jmp     1b

drive:  .byte   0

        .org    SECTOR - 2
        .word   0xaa55

rest:
signature:
        .ascii  "rest"

questions:
        # INT 10h, AH=0Fh: the video mode; AH=03h: where the cursor is.
        mov     $0x0f, %ah
        int     $0x10
        push    %ax
        say     "INT 10h AH=0Fh: mode "
        pop     %ax
        push    %ax
        call    print_byte
        say     ", columns "
        pop     %ax
        mov     %ah, %al
        call    print_byte
        call    new_line

        # AH=08h: the last cylinder, head and sector.
        mov     $0x08, %ah
        mov     drive, %dl
        int     $0x13
        jc      failed
        push    %dx
        push    %cx
        say     "INT 13h AH=08h: CX "
        pop     %ax
        call    print_word
        say     ", DX "
        pop     %ax
        call    print_word
        call    new_line
        xor     %ax, %ax
        mov     %ax, %es

        # AH=41h: are there addresses that count sectors? AH=42h: read one.
        mov     $0x41, %ah
        mov     $0x55aa, %bx
        mov     drive, %dl
        int     $0x13
        jc      failed
        cmp     $0xaa55, %bx
        jne     failed
        movl    $TEXT_SECTOR, packet_lba
        mov     $0x42, %ah
        call    access
        jc      failed
        mov     $BUFFER, %si
1:      lodsb
        test    %al, %al
        jz      2f
        call    put
        jmp     1b
2:
        # AH=43h: write it, to another place; and read that.
        movl    $SCRATCH_SECTOR, packet_lba
        movl    $0x11223344, BUFFER
        mov     $0x4300, %ax
        call    access
        jc      failed
        movl    $0, BUFFER
        mov     $0x42, %ah
        call    access
        jc      failed
        cmpl    $0x11223344, BUFFER
        jne     failed
        say     "INT 13h AH=43h: written and read again\r\n"
        # Behind the end there is nothing.
        movl    $0x10000000, packet_lba
        mov     $0x42, %ah
        call    access
        jnc     failed
        say     "INT 13h AH=42h: no sector 10000000\r\n"

        # INT 15h, AH=88h: kilobytes above 1 MiB.
        mov     $0x88, %ah
        int     $0x15
        jc      failed
        push    %ax
        say     "INT 15h AH=88h: "
        pop     %ax
        call    print_word
        call    new_line

        # AX=E820h: the memory map.
        xor     %ebx, %ebx
3:      mov     $0xe820, %eax
        mov     $SMAP, %edx
        mov     $20, %ecx
        mov     $BUFFER, %di
        int     $0x15
        jc      failed
        cmp     $SMAP, %eax
        jne     failed
        push    %ebx
        say     "INT 15h AX=E820h: "
        mov     BUFFER + 4, %eax
        call    print_double
        mov     BUFFER, %eax
        call    print_double
        mov     $' ', %al
        call    put
        mov     BUFFER + 12, %eax
        call    print_double
        mov     BUFFER + 8, %eax
        call    print_double
        mov     $' ', %al
        call    put
        mov     BUFFER + 16, %al
        call    print_byte
        call    new_line
        pop     %ebx
        test    %ebx, %ebx
        jnz     3b

        # INT 16h, AH=00h: waits for a key; AH=01h: is there one?
        say     "INT 16h: press a key: "
        xor     %ah, %ah
        int     $0x16
        call    print_word
        call    new_line
        mov     $0x01, %ah
        int     $0x16
        jnz     failed
        say     "INT 16h AH=01h: no other\r\n"
        mov     $EXIT_VALUE, %al
        jmp     end

        # AH and AL for INT 13h with the packet.
access:
        mov     drive, %dl
        mov     $packet, %si
        int     $0x13
        ret

        .balign 4
packet: .byte   16, 0
        .word   1                       # sectors
        .word   BUFFER, 0
packet_lba:
        .quad   0

        .org    TEXT_SECTOR * SECTOR
        .asciz  "INT 13h AH=42h: read by its number\r\n"
        .org    (TEXT_SECTOR + 1) * SECTOR
