/* The instructions that C has no words for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value) {
  __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

struct cpuid {
  uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf) {
  struct cpuid result;
  __asm__ volatile("cpuid"
                   : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                   : "a"(leaf), "c"(0));
  return result;
}

static inline uint64_t read_msr(uint32_t msr) {
  uint32_t low, high;
  __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value) {
  __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define CONTROL_REGISTER(name)                                                      \
  static inline uint64_t read_##name(void) {                                        \
    uint64_t value;                                                                 \
    __asm__ volatile("mov %%" #name ", %0" : "=r"(value));                          \
    return value;                                                                   \
  }                                                                                 \
  static inline void write_##name(uint64_t value) {                                 \
    __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                 \
  }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)

/* VMX instructions tell failure by CF (there is no current VMCS) or ZF (there is an error number in it). */
#define VMX_WITH_POINTER(name)                                                        \
  static inline bool name(uint64_t address) {                                         \
    bool failed;                                                                      \
    __asm__ volatile(#name " %1" : "=@ccbe"(failed) : "m"(address) : "memory");       \
    return !failed;                                                                   \
  }

VMX_WITH_POINTER(vmxon)
VMX_WITH_POINTER(vmclear)
VMX_WITH_POINTER(vmptrld)

static inline void vmxoff(void) {
  __asm__ volatile("vmxoff" : : : "cc", "memory");
}

static inline bool vmwrite(uint64_t field, uint64_t value) {
  bool failed;
  __asm__ volatile("vmwrite %2, %1" : "=@ccbe"(failed) : "r"(field), "r"(value) : "memory");
  return !failed;
}

static inline uint64_t vmread(uint64_t field) {
  uint64_t value = 0;
  __asm__ volatile("vmread %1, %0" : "+r"(value) : "r"(field) : "cc");
  return value;
}
