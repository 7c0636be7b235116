// SPDX-License-Identifier: Apache-2.0
// Preloaded, makes fsync fail: FSYNC_FAILS names what is synced, d for a folder or f for a file, and the error's number.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

int fsync(int fd) {
  const char *fails = getenv("FSYNC_FAILS");
  struct stat status;
  if (fails && fstat(fd, &status) == 0 && (*fails == 'd' ? S_ISDIR(status.st_mode) : S_ISREG(status.st_mode))) {
    errno = atoi(fails + 1);
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
