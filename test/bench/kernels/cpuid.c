/* Round trips to the hypervisor: CPUID exits always. Its answers are the processor's own and stay out of the checksum. */
#include "cpu.h"
#include "unit.h"

enum { ROUND_TRIPS = 1000 };

uint64_t unit(uint64_t x) {
  for (unsigned i = 0; i < ROUND_TRIPS; i++) cpuid(0);
  return x + ROUND_TRIPS;
}
