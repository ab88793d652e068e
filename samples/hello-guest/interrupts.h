/* Exceptions and interrupts. */
#pragma once

#include <stdint.h>

/* What entries.S leaves on the stack: the registers, then what the processor pushed. */
struct interrupt_frame {
  uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
  uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
  uint64_t vector, error_code;
  uint64_t rip, cs, rflags, rsp, ss;
};

/* Sets up the IDT and the interrupt controllers, with every line masked. */
void interrupts_init(void);

/* Lets the timer interrupt this many times a second. */
void timer_start(unsigned hertz);

/* Timer interrupts so far. */
extern volatile uint64_t timer_ticks;
