/* What the library brings along so that one file runs on glibc 2.17 and newer and on musl.
 *
 * glibc before 2.33 has stat and its kin only as inline wrappers of __xstat; std calls them by name. And std asks glibc
 * for its version only to decide whether to call __res_init, which glibc 2.26 and newer do not need and musl does not have.
 * Everything here is hidden: it serves this library alone. */

#define HIDDEN __attribute__((visibility("hidden")))

#if defined(__x86_64__)
#define STAT_VERSION 1
#else
#define STAT_VERSION 0
#endif

extern int __xstat64(int version, const char *path, void *out);
extern int __lxstat64(int version, const char *path, void *out);
extern int __fxstat64(int version, int fd, void *out);

HIDDEN int stat64(const char *path, void *out) { return __xstat64(STAT_VERSION, path, out); }
HIDDEN int lstat64(const char *path, void *out) { return __lxstat64(STAT_VERSION, path, out); }
HIDDEN int fstat64(int fd, void *out) { return __fxstat64(STAT_VERSION, fd, out); }
HIDDEN const char *gnu_get_libc_version(void) { return "2.26"; }
HIDDEN int __res_init(void) { return 0; }
