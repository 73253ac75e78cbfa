/* What the library brings along so that one file runs on glibc 2.17 and newer and on musl.
 *
 * glibc before 2.33 has stat and its kin only as inline wrappers of __xstat; std calls them by name. And std asks glibc
 * for its version only to decide whether to call __res_init, which glibc 2.26 and newer do not need and musl does not have.
 * The unwinder of newer compilers finds unwind tables by _dl_find_object, which came with glibc 2.35; here it asks
 * dl_iterate_phdr, as older unwinders do. Everything here is hidden: it serves this library alone.
 *
 * And what it takes to unmap the library for Java under threads that live on: the last part of this file. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

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

#ifdef FOR_JAVA
/* A thread of the host lives on when its class loader goes, and with that this library; values of Rust's thread-local
 * storage may be left on it, whose destructors are here. glibc would keep the library mapped until the thread ends: for a
 * server's thread, for ever. So it is not told of them. Without the function of this name, which is hidden and nowhere, the
 * standard library has one key, whose destructor ends all values of a thread, as on systems that never had the function.
 * (The library for C is never unmapped: build.rs.) */
__asm__(".weak __cxa_thread_atexit_impl\n.hidden __cxa_thread_atexit_impl");
/* A name that nobody uses would not be in the object's table. */
extern int not_told(void) __asm__("__cxa_thread_atexit_impl");
__attribute__((used)) static int (*const nowhere)(void) = not_told;

/* The keys are known here. They are deleted when the library goes, and what hangs on them stays where it is: some hundred
 * bytes a thread. */
typedef void destructor(void *value);

#define KEYS 4
static struct {
  _Atomic(destructor *) ends; /* null: free */
  pthread_key_t key;
} keys[KEYS];

/* So many threads are in a destructor. */
static atomic_int inside;

static void end(int which, void *value) {
  atomic_fetch_add(&inside, 1);
  destructor *ends = atomic_load(&keys[which].ends);
  if (ends != NULL) ends(value);
  atomic_fetch_sub(&inside, 1);
}
static void end_0(void *value) { end(0, value); }
static void end_1(void *value) { end(1, value); }
static void end_2(void *value) { end(2, value); }
static void end_3(void *value) { end(3, value); }
static destructor *const ends_of[KEYS] = {end_0, end_1, end_2, end_3};

typedef int creates(pthread_key_t *key, destructor *ends);
typedef int deletes(pthread_key_t key);

HIDDEN int pthread_key_create(pthread_key_t *key, destructor *ends) {
  creates *create = (creates *)dlsym(RTLD_DEFAULT, "pthread_key_create");
  if (create == NULL) return EAGAIN;
  for (int i = 0; ends != NULL && i < KEYS; i++) {
    destructor *none = NULL;
    if (!atomic_compare_exchange_strong(&keys[i].ends, &none, ends)) continue;
    int error = create(&keys[i].key, ends_of[i]);
    if (error == 0) *key = keys[i].key;
    else atomic_store(&keys[i].ends, NULL);
    return error;
  }
  /* One more than there is room for gets no destructor, which is a leak where the other is a crash. */
  return create(key, NULL);
}

static int delete(pthread_key_t key) {
  deletes *delete = (deletes *)dlsym(RTLD_DEFAULT, "pthread_key_delete");
  return delete == NULL ? EINVAL : delete(key);
}

HIDDEN int pthread_key_delete(pthread_key_t key) {
  for (int i = 0; i < KEYS; i++) {
    if (atomic_load(&keys[i].ends) != NULL && keys[i].key == key) atomic_store(&keys[i].ends, NULL);
  }
  return delete(key);
}

/* The library goes, or the process ends. A thread that ends at this very moment may have read an address of ours before the
 * key was deleted, so it gets the time to come and go. */
__attribute__((destructor)) static void let_go(void) {
  int deleted = 0;
  for (int i = 0; i < KEYS; i++) {
    if (atomic_load(&keys[i].ends) != NULL) deleted += delete(keys[i].key) == 0;
  }
  struct timespec moment = {0, 1000 * 1000};
  for (int i = 0; deleted > 0 && i < 1000; i++) {
    clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
    if (atomic_load(&inside) == 0) break;
  }
}
#endif
