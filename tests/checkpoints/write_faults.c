/* LD_PRELOAD: makes the n-th call that changes files below $FAULT_DIR fail.
 *
 * fault_arm(n, errno, sticky) arms it (n = 0: never) and resets the count;
 * fault_count() says how many such calls there were since. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long at, count;
static int error, sticky;

void fault_arm(long n, int code, int stay) {
  at = n, error = code, sticky = stay;
  __atomic_store_n(&count, 0, __ATOMIC_SEQ_CST);
}

long fault_count(void) { return __atomic_load_n(&count, __ATOMIC_SEQ_CST); }

static int below(const char *path) {
  const char *dir = getenv("FAULT_DIR");
  return dir && path && !strncmp(path, dir, strlen(dir));
}

static int file_below(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return below(path);
}

static int path_below(int fd, const char *path) {
  return path && path[0] == '/' ? below(path)
         : fd == AT_FDCWD       ? 0
                                : file_below(fd);
}

static int fails(int ours) {
  if (!ours) return 0;
  long n = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
  if (!at || n < at || (n > at && !sticky)) return 0;
  errno = error;
  return 1;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define CALL(type, name, params, ours, args) \
  type name params { \
    REAL(name); \
    if (fails(ours)) return -1; \
    return real args; \
  }

CALL(ssize_t, write, (int f, const void *b, size_t n), file_below(f), (f, b, n))
CALL(ssize_t, pwrite, (int f, const void *b, size_t n, off_t o), file_below(f), (f, b, n, o))
CALL(ssize_t, pwrite64, (int f, const void *b, size_t n, off64_t o), file_below(f), (f, b, n, o))
CALL(ssize_t, writev, (int f, const struct iovec *v, int n), file_below(f), (f, v, n))
CALL(ssize_t, pwritev, (int f, const struct iovec *v, int n, off_t o), file_below(f), (f, v, n, o))
CALL(int, fsync, (int f), file_below(f), (f))
CALL(int, fdatasync, (int f), file_below(f), (f))
CALL(int, ftruncate, (int f, off_t n), file_below(f), (f, n))
CALL(int, ftruncate64, (int f, off64_t n), file_below(f), (f, n))
CALL(int, mkdir, (const char *p, mode_t m), below(p), (p, m))
CALL(int, mkdirat, (int d, const char *p, mode_t m), path_below(d, p), (d, p, m))
CALL(int, rename, (const char *a, const char *b), below(b), (a, b))
CALL(int, renameat, (int x, const char *a, int y, const char *b), path_below(y, b), (x, a, y, b))
CALL(int, renameat2, (int x, const char *a, int y, const char *b, unsigned f), path_below(y, b), (x, a, y, b, f))

#define OPENS(name) \
  int name(const char *p, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t m = va_arg(rest, mode_t); \
    va_end(rest); \
    REAL(name); \
    if (flags & (O_WRONLY | O_RDWR | O_CREAT) && fails(below(p))) return -1; \
    return real(p, flags, m); \
  }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name) \
  int name(int d, const char *p, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t m = va_arg(rest, mode_t); \
    va_end(rest); \
    REAL(name); \
    if (flags & (O_WRONLY | O_RDWR | O_CREAT) && fails(path_below(d, p))) \
      return -1; \
    return real(d, p, flags, m); \
  }
OPENS_AT(openat)
OPENS_AT(openat64)
