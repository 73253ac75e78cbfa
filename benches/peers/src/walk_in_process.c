/* walk.c as a function: its skip() over a buffer of ours. Returns how many bytes the first value takes, 0 if they end early. */
#include <stddef.h>
#define main walk_main
#include "../../walk.c"
#undef main

size_t walk_c(const uint8_t *bytes, size_t length) {
  end = bytes + length;
  const uint8_t *p = skip(bytes);
  return p ? (size_t)(p - bytes) : 0;
}
