# A hypervisor for AMD-V: runs a guest that leaves by each of the intercepts, and writes a letter for each exit.
        .set EFER, 0xc0000080
        .set VM_HSAVE_PA, 0xc0010117
        .set SVME, 1 << 12

        .macro field offset, value
        movq \value, %rax
        movq %rax, vmcb + \offset
        .endm

        .macro say letter
        mov $0x3f8, %edx
        mov $\letter, %al
        out %al, %dx
        .endm

        .text
        .globl _start
        .type _start, @function
_start: cli
        mov $EFER, %ecx
        rdmsr
        or $SVME, %eax
        wrmsr
        mov $VM_HSAVE_PA, %ecx
        mov $save, %eax
        xor %edx, %edx
        wrmsr

        movl $1 << 6, vmcb + 0x008              # #UD
        movl $1 << 14 | 1 << 18 | 1 << 22 | 1 << 24, vmcb + 0x00c
        movl $3, vmcb + 0x010                   # VMRUN, VMMCALL
        movl $1, vmcb + 0x058                   # ASID
        movl $0x02930010, vmcb + 0x400          # ES, CS, SS, DS
        movl $0x029b0008, vmcb + 0x410
        movl $0x0c930010, vmcb + 0x420
        movl $0x0c930010, vmcb + 0x430
        mov $EFER, %ecx
        rdmsr
        mov %eax, vmcb + 0x4d0
        mov %cr4, %rax
        mov %rax, vmcb + 0x548
        mov %cr3, %rax
        mov %rax, vmcb + 0x550
        mov %cr0, %rax
        mov %rax, vmcb + 0x558
        field 0x560, $0x400
        field 0x568, $0xffff0ff0
        field 0x570, $2
        field 0x578, $guest
        field 0x5d8, $stack

enter:  mov $vmcb, %eax
        vmrun
        mov vmcb + 0x070, %rax                  # EXITCODE
        cmp $0x72, %rax
        je cpuid_exit
        cmp $0x6e, %rax
        je rdtsc_exit
        cmp $0x76, %rax
        je invd_exit
        cmp $0x78, %rax
        je hlt_exit
        cmp $0x46, %rax
        je ud_exit
        cmp $0x81, %rax
        je vmmcall_exit
        cmp $-1, %rax
        je invalid
        say '?'
        jmp end

cpuid_exit:
        say 'C'
        movq $0x5678, vmcb + 0x5f8              # RAX of the guest
        addq $2, vmcb + 0x578
        jmp enter
rdtsc_exit:
        say 'R'
        addq $2, vmcb + 0x578
        jmp enter
invd_exit:
        say 'I'
        addq $2, vmcb + 0x578
        jmp enter
hlt_exit:
        say 'H'
        addq $1, vmcb + 0x578
        jmp enter
ud_exit:
        say 'U'
        addq $2, vmcb + 0x578
        jmp enter
vmmcall_exit:
        say 'M'
        cmp $guest_rsp, %rsp                    # the host has its own stack again
        je end
        movl $0, vmcb + 0x058                   # an ASID of 0 is no guest
        jmp enter
invalid:
        say '-'
        stgi
        xor %eax, %eax
        out %al, $0xf4
end:    mov $1, %al
        out %al, $0xf4

        .set guest_rsp, stack
guest:  cpuid
        cmp $0x5678, %rax
        jne wrong
        cmp $stack, %rsp
        jne wrong
        rdtsc
        invd
        hlt
        ud2
        vmmcall
wrong:  nop
        jmp wrong
        .size _start, . - _start

        .bss
        .align 4096
vmcb:   .skip 4096
save:   .skip 4096
        .skip 256
stack:  .skip 8
        .section .note.GNU-stack, "", @progbits
