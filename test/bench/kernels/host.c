/* Runs a kernel as a program of the host: what its checksum has to be. */
#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  printf("%016lx\n", checksum(strtoull(argv[1], NULL, 10)));
}
