/* What the parts of the hypervisor share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PAGE_SIZE = 4096, CODE_SELECTOR = 0x08, DATA_SELECTOR = 0x10, TSS_SELECTOR = 0x18 };

/* The guest's general registers between an exit and the next entry; enter.S knows the offsets. */
struct registers {
  uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

/* boot.S */
extern uint64_t gdt[];
/* enter.S */
int enter_guest(struct registers *guest, bool launched);
void vm_exit(void);

/* vmcs.c */
void set_up_vmcs(void);
void map_guest_memory(uint64_t guest_physical);
uint64_t tss_base(void);
/* exits.c */
bool handle_exit(struct registers *guest);
/* guest.c */
void guest_main(void);
extern uint8_t guest_stack_end[];
/* mistakes.c */
bool make_mistake(const char *command_line);

/* serial.c */
void serial_init(void);
void put_char(char c);
void put_string(const char *text);
void put_hex(uint64_t value);
