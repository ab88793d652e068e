# A hypervisor that forgot to fill its VMCS: VMLAUNCH fails, and the error number leaves by port 0xf4.
#define IA32_VMX_BASIC 0x480
#define CR4_VMXE (1 << 13)
#define CR0_NE (1 << 5)
#define VM_INSTRUCTION_ERROR 0x4400

        .text
        .globl _start
        .type _start, @function
_start: mov %cr0, %rax
        or $CR0_NE, %rax
        mov %rax, %cr0
        mov %cr4, %rax
        or $CR4_VMXE, %rax
        mov %rax, %cr4
        mov $IA32_VMX_BASIC, %ecx
        rdmsr
        mov %eax, vmxon_region
        mov %eax, vmcs_region
        vmxon vmxon_pointer
        vmclear vmcs_pointer
        vmptrld vmcs_pointer
        vmlaunch
        mov $VM_INSTRUCTION_ERROR, %ecx
        vmread %rcx, %rax
        outb %al, $0xf4
        .size _start, . - _start

        .data
        .balign 4096
vmxon_region: .skip 4096
vmcs_region: .skip 4096
vmxon_pointer: .quad vmxon_region
vmcs_pointer: .quad vmcs_region
        .section .note.GNU-stack, "", @progbits
