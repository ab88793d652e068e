# From the Multiboot loader to 64-bit C: page tables for the first GiB, long mode, a GDT with room for a TSS.

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_PAGE_ALIGN 0x1
#define MULTIBOOT_MEMORY_INFO 0x2
#define MULTIBOOT_FLAGS (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO)

#define PAGE_PRESENT 0x01
#define PAGE_WRITE 0x02
#define PAGE_LARGE 0x80

#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define IA32_EFER 0xc0000080
#define EFER_LME (1 << 8)

        .section .multiboot, "a"
        .balign 4
        .long MULTIBOOT_MAGIC
        .long MULTIBOOT_FLAGS
        .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

        .bss
        .balign 4096
pml4:           .skip 4096
page_pointers:  .skip 4096
low_pages:      .skip 4096
boot_stack:     .skip 16384
boot_stack_end:

        .data
        .balign 8
        .globl gdt
gdt:    .quad 0                  # the null descriptor
        .quad 0x00af9a000000ffff # 0x08: 64-bit code, ring 0
        .quad 0x00cf92000000ffff # 0x10: data, ring 0
        .quad 0, 0               # 0x18: the TSS, filled in by C: VMX wants a task register that is not null
gdt_end:
gdt_register:
        .word gdt_end - gdt - 1
        .quad gdt

        .text
        .code32
        .globl start
        .type start, @function
start:
        cli
        movl $boot_stack_end, %esp
        movl %ebx, %edi         # the Multiboot information, the argument of kmain

        # pml4 -> page_pointers -> low_pages: the first GiB one to one, in 512 pages of 2 MiB.
        movl $page_pointers + (PAGE_PRESENT | PAGE_WRITE), pml4
        movl $low_pages + (PAGE_PRESENT | PAGE_WRITE), page_pointers
        xorl %ecx, %ecx
1:      movl %ecx, %eax
        shll $21, %eax
        orl $(PAGE_PRESENT | PAGE_WRITE | PAGE_LARGE), %eax
        movl %eax, low_pages(, %ecx, 8)
        incl %ecx
        cmpl $512, %ecx
        jne 1b

        movl $pml4, %eax
        movl %eax, %cr3
        movl %cr4, %eax
        orl $CR4_PAE, %eax
        movl %eax, %cr4
        movl $IA32_EFER, %ecx
        rdmsr
        orl $EFER_LME, %eax
        wrmsr
        movl %cr0, %eax
        orl $CR0_PG, %eax
        movl %eax, %cr0

        lgdt gdt_register
        ljmp $0x08, $long_mode
        .size start, . - start

        .code64
        .type long_mode, @function
long_mode:
        movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movl $boot_stack_end, %esp
        movl %edi, %edi
        xorl %ebp, %ebp         # the end of the chain of frames
        call kmain
1:      cli                     # kmain does not return
        hlt
        jmp 1b
        .size long_mode, . - long_mode

        .section .note.GNU-stack, "", @progbits
