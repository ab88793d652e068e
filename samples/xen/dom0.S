/*
 * The smallest dom0: Xen starts it as a PVH guest, in 32-bit protected mode without paging. It writes a line to the
 * Xen console and powers the machine off.
 *
 * Xen's public/elfnote.h, xen.h and sched.h have the numbers; a hypercall is VMCALL with the number in EAX.
 */
        .set XEN_ELFNOTE_PHYS32_ENTRY, 18
        .set HYPERVISOR_console_io, 18
        .set CONSOLEIO_write, 0
        .set HYPERVISOR_sched_op, 29
        .set SCHEDOP_shutdown, 2

        .section .note.Xen, "a", @note
        .align  4
        .long   2f - 1f
        .long   4
        .long   XEN_ELFNOTE_PHYS32_ENTRY
1:      .asciz  "Xen"
2:      .align  4
        .long   start

        .text
        .code32
        .globl  start
start:
        mov     $HYPERVISOR_console_io, %eax
        mov     $CONSOLEIO_write, %ebx
        mov     $(greeting_end - greeting), %ecx
        mov     $greeting, %edx
        vmcall

        mov     $HYPERVISOR_sched_op, %eax
        mov     $SCHEDOP_shutdown, %ebx
        mov     $power_off, %ecx
        vmcall
0:      hlt
        jmp     0b

        .data
greeting:
        .ascii  "hello from dom0, a VMX guest of Xen\n"
greeting_end:
        .align  4
power_off:
        .long   0
