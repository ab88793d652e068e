/* A tour of what makes a guest leave for its hypervisor: CPUID, MSRs, I/O ports, device memory, interrupts and HLT. */
#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"
#include "interrupts.h"
#include "power.h"
#include "serial.h"

enum {
  MULTIBOOT_LOADER_MAGIC = 0x2badb002,

  CPUID_VENDOR = 0,
  CPUID_FEATURES = 1,
  CPUID_FEATURES_ECX_HYPERVISOR = 1u << 31,
  CPUID_HYPERVISOR_VENDOR = 0x40000000,

  CMOS_INDEX = 0x70,
  CMOS_DATA = 0x71,
  CMOS_SECONDS = 0x00,
  CMOS_MINUTES = 0x02,
  CMOS_HOURS = 0x04,
  CMOS_DAY = 0x07,
  CMOS_MONTH = 0x08,
  CMOS_YEAR = 0x09,
  CMOS_STATUS_A = 0x0a,
  CMOS_UPDATE_IN_PROGRESS = 0x80,

  IOAPIC_VERSION = 0x01,

  TIMER_HERTZ = 100,
  TICKS = 5,
};

static const uint32_t IA32_PAT = 0x277;
static const uint32_t IA32_EFER = 0xc0000080;

/* Device registers in memory; boot.S mapped these pages without caching. */
static volatile uint32_t *const IOAPIC_SELECT = (uint32_t *)0xfec00000;
static volatile uint32_t *const IOAPIC_WINDOW = (uint32_t *)0xfec00010;
static volatile uint32_t *const LAPIC_VERSION = (uint32_t *)0xfee00030;

/* Look at this in the debugger's variables. */
static struct {
  char vendor[13];
  bool has_hypervisor;
  char hypervisor_vendor[13];
  uint64_t efer, pat;
} processor;

/* CPUID gives names as three registers of four letters. */
static void copy_name(char name[13], uint32_t first, uint32_t second, uint32_t third) {
  const uint32_t parts[] = {first, second, third};
  for (unsigned i = 0; i < 12; i++) name[i] = (char)(parts[i / 4] >> 8 * (i % 4));
  name[12] = '\0';
}

static void show_processor(void) {
  struct cpuid vendor = cpuid(CPUID_VENDOR);
  copy_name(processor.vendor, vendor.ebx, vendor.edx, vendor.ecx);
  processor.has_hypervisor = cpuid(CPUID_FEATURES).ecx & CPUID_FEATURES_ECX_HYPERVISOR;
  if (processor.has_hypervisor) {
    struct cpuid hypervisor = cpuid(CPUID_HYPERVISOR_VENDOR);
    copy_name(processor.hypervisor_vendor, hypervisor.ebx, hypervisor.ecx, hypervisor.edx);
  }
  serial_printf("Processor: %s, hypervisor: %s\n", processor.vendor,
                processor.has_hypervisor ? processor.hypervisor_vendor : "none");
  serial_printf("CR0 %lx, CR3 %lx, CR4 %lx\n", read_cr0(), read_cr3(), read_cr4());
}

static void show_msrs(void) {
  processor.efer = read_msr(IA32_EFER);
  processor.pat = read_msr(IA32_PAT);
  write_msr(IA32_PAT, processor.pat);
  serial_printf("IA32_EFER %lx, IA32_PAT %016lx\n", processor.efer, processor.pat);
}

static uint8_t read_cmos(uint8_t index) {
  outb(CMOS_INDEX, index);
  return inb(CMOS_DATA);
}

/* The clock counts in binary-coded decimal: the hexadecimal digits are the decimal ones. */
static void show_clock(void) {
  while (read_cmos(CMOS_STATUS_A) & CMOS_UPDATE_IN_PROGRESS)
    ;
  serial_printf("Clock: year %02x, month %02x, day %02x, %02x:%02x:%02x\n", read_cmos(CMOS_YEAR),
                read_cmos(CMOS_MONTH), read_cmos(CMOS_DAY), read_cmos(CMOS_HOURS), read_cmos(CMOS_MINUTES),
                read_cmos(CMOS_SECONDS));
}

static void show_interrupt_controllers(void) {
  *IOAPIC_SELECT = IOAPIC_VERSION;
  serial_printf("I/O APIC version %x, local APIC version %x\n", *IOAPIC_WINDOW, *LAPIC_VERSION);
}

static void cause_exceptions(void) {
  __asm__ volatile("int3");
  __asm__ volatile("ud2");
}

static void count_ticks(void) {
  timer_start(TIMER_HERTZ);
  uint64_t start = read_tsc();
  for (uint64_t seen = 0; seen < TICKS; seen++) {
    while (timer_ticks == seen) wait_for_interrupt();
    serial_printf("Timer tick %lu\n", timer_ticks);
  }
  serial_printf("Time-stamp counter: %lu cycles a tick\n", (read_tsc() - start) / TICKS);
}

void kmain(uint32_t loader_magic) {
  serial_init();
  serial_printf("Hello from long mode\n");
  if (loader_magic != MULTIBOOT_LOADER_MAGIC) {
    serial_printf("The loader is not a Multiboot one: it gave %x\n", loader_magic);
    exit_with_failure();
  }
  interrupts_init();

  show_processor();
  show_msrs();
  show_clock();
  show_interrupt_controllers();
  cause_exceptions();
  count_ticks();

  serial_printf("Goodbye\n");
  power_off();
}
