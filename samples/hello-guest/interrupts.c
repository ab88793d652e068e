/* The IDT, what happens on each vector, the two 8259A interrupt controllers and the 8254 timer. */
#include "interrupts.h"

#include "cpu.h"
#include "power.h"
#include "serial.h"

enum {
  VECTORS = 48,
  BREAKPOINT = 3,
  INVALID_OPCODE = 6,
  FIRST_IRQ = 32, /* the vectors below belong to exceptions */
  TIMER_IRQ = 0,

  CODE_SEGMENT = 0x08,
  INTERRUPT_GATE = 0x8e, /* present, ring 0 */

  PIC_MASTER = 0x20,
  PIC_SLAVE = 0xa0,
  PIC_DATA = 1,
  PIC_INIT_WITH_ICW4 = 0x11,
  PIC_SLAVE_LINE = 2,
  PIC_8086_MODE = 0x01,
  PIC_END_OF_INTERRUPT = 0x20,

  PIT_COUNTER_0 = 0x40,
  PIT_CONTROL = 0x43,
  PIT_COUNTER_0_RATE_GENERATOR = 0x34,
  PIT_HERTZ = 1193182,

  UD2_LENGTH = 2,
};

struct gate {
  uint16_t offset_low, selector;
  uint8_t stack_table, type;
  uint16_t offset_middle;
  uint32_t offset_high, reserved;
} __attribute__((packed));

static struct gate idt[VECTORS] __attribute__((aligned(16)));

/* entries.S has one entry for each vector. */
extern const uint64_t interrupt_entries[VECTORS];

volatile uint64_t timer_ticks;

/* The controllers start at vectors 8 and 70h, where the exceptions are. */
static void remap_interrupt_controllers(void) {
  outb(PIC_MASTER, PIC_INIT_WITH_ICW4);
  outb(PIC_SLAVE, PIC_INIT_WITH_ICW4);
  outb(PIC_MASTER + PIC_DATA, FIRST_IRQ);
  outb(PIC_SLAVE + PIC_DATA, FIRST_IRQ + 8);
  outb(PIC_MASTER + PIC_DATA, 1 << PIC_SLAVE_LINE);
  outb(PIC_SLAVE + PIC_DATA, PIC_SLAVE_LINE);
  outb(PIC_MASTER + PIC_DATA, PIC_8086_MODE);
  outb(PIC_SLAVE + PIC_DATA, PIC_8086_MODE);
  outb(PIC_MASTER + PIC_DATA, 0xff);
  outb(PIC_SLAVE + PIC_DATA, 0xff);
}

void interrupts_init(void) {
  for (unsigned vector = 0; vector < VECTORS; vector++) {
    uint64_t entry = interrupt_entries[vector];
    idt[vector] = (struct gate){
        .offset_low = (uint16_t)entry,
        .selector = CODE_SEGMENT,
        .type = INTERRUPT_GATE,
        .offset_middle = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
  }
  struct {
    uint16_t limit;
    uint64_t base;
  } __attribute__((packed)) idt_register = {sizeof idt - 1, (uint64_t)idt};
  __asm__ volatile("lidt %0" : : "m"(idt_register));
  remap_interrupt_controllers();
}

void timer_start(unsigned hertz) {
  unsigned divisor = PIT_HERTZ / hertz;
  outb(PIT_CONTROL, PIT_COUNTER_0_RATE_GENERATOR);
  outb(PIT_COUNTER_0, (uint8_t)divisor);
  outb(PIT_COUNTER_0, (uint8_t)(divisor >> 8));
  outb(PIC_MASTER + PIC_DATA, (uint8_t)~(1 << TIMER_IRQ));
}

static void give_up(const struct interrupt_frame *frame) {
  serial_printf("exception %lu, error code %lx, at %lx\n", frame->vector, frame->error_code, frame->rip);
  exit_with_failure();
}

/* Called by entries.S. */
void interrupt_dispatch(struct interrupt_frame *frame) {
  switch (frame->vector) {
  case BREAKPOINT: /* a trap: RIP is behind the INT3 */
    serial_printf("#BP: breakpoint before %lx\n", frame->rip);
    break;
  case INVALID_OPCODE: /* a fault: RIP is at the UD2, and would fault for ever */
    serial_printf("#UD: invalid opcode at %lx, skipped\n", frame->rip);
    frame->rip += UD2_LENGTH;
    break;
  case FIRST_IRQ + TIMER_IRQ:
    timer_ticks++;
    outb(PIC_MASTER, PIC_END_OF_INTERRUPT);
    break;
  default:
    give_up(frame);
  }
}
