/* What the library brings along so that one file runs on glibc 2.17 and newer and on musl.
 *
 * glibc before 2.33 has stat and its kin only as inline wrappers of __xstat; std calls them by name. And std asks glibc
 * for its version only to decide whether to call __res_init, which glibc 2.26 and newer do not need and musl does not have.
 * The unwinder of newer compilers finds unwind tables by _dl_find_object, which came with glibc 2.35; here it asks
 * dl_iterate_phdr, as older unwinders do. Everything here is hidden: it serves this library alone. */

#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))

#if defined(__x86_64__)
#define STAT_VERSION 1
#else
#define STAT_VERSION 0
#endif

extern int __xstat64(int version, const char *path, void *out);
extern int __lxstat64(int version, const char *path, void *out);
extern int __fxstat64(int version, int fd, void *out);
extern int __fxstatat64(int version, int fd, const char *path, void *out, int flags);

HIDDEN int stat64(const char *path, void *out) { return __xstat64(STAT_VERSION, path, out); }
HIDDEN int lstat64(const char *path, void *out) { return __lxstat64(STAT_VERSION, path, out); }
HIDDEN int fstat64(int fd, void *out) { return __fxstat64(STAT_VERSION, fd, out); }
HIDDEN int fstatat64(int fd, const char *path, void *out, int flags) {
  return __fxstatat64(STAT_VERSION, fd, path, out, flags);
}
HIDDEN const char *gnu_get_libc_version(void) { return "2.26"; }
HIDDEN int __res_init(void) { return 0; }

/* As far as the unwinder reads it: struct dl_find_object of glibc. */
struct found {
  unsigned long long flags;
  void *map_start;
  void *map_end;
  struct link_map *link_map;
  void *eh_frame;
  void *reserved[8];
};

struct wanted {
  uintptr_t pc;
  struct found *found;
};

static int look(struct dl_phdr_info *object, size_t size, void *data) {
  struct wanted *wanted = data;
  uintptr_t start = 0, end = 0, tables = 0;
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &object->dlpi_phdr[i];
    uintptr_t at = object->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_LOAD && at <= wanted->pc && wanted->pc < at + header->p_memsz) {
      start = at;
      end = at + header->p_memsz;
    } else if (header->p_type == PT_GNU_EH_FRAME) {
      tables = at;
    }
  }
  if (end == 0 || tables == 0) return 0;
  wanted->found->flags = 0;
  wanted->found->map_start = (void *)start;
  wanted->found->map_end = (void *)end;
  wanted->found->link_map = NULL;
  wanted->found->eh_frame = (void *)tables;
  return 1;
}

/* Headers of newer systems declare the name with a type of their own. */
HIDDEN int find_object(void *pc, struct found *out) __asm__("_dl_find_object");

HIDDEN int find_object(void *pc, struct found *out) {
  struct wanted wanted = {(uintptr_t)pc, out};
  return dl_iterate_phdr(look, &wanted) == 1 ? 0 : -1;
}
