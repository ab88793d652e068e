/* The vector state of the bare machine is off until somebody enables it; a program of the host has it. */
#pragma once

#if __STDC_HOSTED__
static inline void enable_vectors(void) {}
#else
enum { CR0_MP_NE = 0x22, CR0_EM = 4, CR4_OSFXSR_OSXMMEXCPT_OSXSAVE = 0x40600, XCR0_X87_SSE_AVX = 7 };

static inline void enable_vectors(void) {
  unsigned long value;
  __asm__ volatile("mov %%cr0, %0\n and %1, %0\n or %2, %0\n mov %0, %%cr0\n fninit"
                   : "=&r"(value)
                   : "i"(~CR0_EM), "i"(CR0_MP_NE)
                   : "memory");
  __asm__ volatile("mov %%cr4, %0\n or %1, %0\n mov %0, %%cr4"
                   : "=&r"(value)
                   : "i"(CR4_OSFXSR_OSXMMEXCPT_OSXSAVE)
                   : "memory");
  __asm__ volatile("xsetbv" : : "a"(XCR0_X87_SSE_AVX), "d"(0), "c"(0) : "memory");
}
#endif
