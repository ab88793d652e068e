# Answers each letter from the serial port with its capital; ends with "q".
#define SERIAL_PORT 0x3f8
#define LINE_STATUS 5
        .text
        .globl _start
        .type _start, @function
_start: mov $SERIAL_PORT + LINE_STATUS, %edx
        in %dx, %al
        test $1, %al
        jz _start
        mov $SERIAL_PORT, %edx
        in %dx, %al
        cmp $113, %al
        je end
        sub $32, %al
        out %al, %dx
        jmp _start
end:    xor %eax, %eax
        out %al, $0xf4
        .size _start, . - _start
        .section .note.GNU-stack, "", @progbits
