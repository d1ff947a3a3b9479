/* Lets calls of the C library fail: preloaded into the programs under test.
 *
 *   FAULTIO_PATH   only files whose path contains this text
 *   FAULTIO_CALLS  letters: w write, p pwrite, s fsync and fdatasync, t ftruncate
 *   FAULTIO_AT     the first call that fails, from 1 on; 0 for none
 *   FAULTIO_TIMES  how many calls fail; 0 for all that follow
 *   FAULTIO_DO     an errno, or -1: write half, or -2: SIGKILL in the middle, or
 *                  below -2: so many milliseconds late; pipes wait for no disk
 *   FAULTIO_COUNT  a file that learns at each call how many there were
 *   FAULTIO_ARMED  calls count only once this file exists
 *   FAULTIO_FREE   no thread can be started until this file exists
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <fcntl.h>
#include <unistd.h>

#define HALF (-1)
#define KILL (-2)

static atomic_long seen;

static void late(long what) {
    if (what < KILL) usleep((useconds_t)(-what) * 1000);
}

static int is_pipe(int fd) {
    struct stat found;
    return !fstat(fd, &found) && S_ISFIFO(found.st_mode);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static int chosen(int fd, char call) {
    const char *calls = getenv("FAULTIO_CALLS"), *wanted = getenv("FAULTIO_PATH");
    char link[64], path[4096];
    ssize_t size;
    if (!calls || !wanted || !strchr(calls, call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strstr(path, wanted) != NULL;
}

/* What to do with this call: 0 for nothing, else FAULTIO_DO. */
static long verdict(int fd, char call) {
    int keep = errno;
    long index, at = number("FAULTIO_AT"), times = number("FAULTIO_TIMES");
    const char *count = getenv("FAULTIO_COUNT"), *armed = getenv("FAULTIO_ARMED");
    if (armed && access(armed, F_OK)) { errno = keep; return 0; }
    if (!chosen(fd, call)) { errno = keep; return 0; }
    index = atomic_fetch_add(&seen, 1) + 1;
    if (count) {
        char text[24];
        int file = open(count, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        int size = snprintf(text, sizeof text, "%-20ld", index);
        if (file >= 0) { REAL(pwrite)(file, text, size, 0); close(file); }
    }
    errno = keep;
    if (!at || index < at || (times && index >= at + times)) return 0;
    return number("FAULTIO_DO");
}

ssize_t write(int fd, const void *data, size_t size) {
    long what = verdict(fd, 'w');
    if (what > 0) { errno = (int)what; return -1; }
    if (what == HALF && size > 1) return REAL(write)(fd, data, size / 2);
    if (what == KILL) { REAL(write)(fd, data, size / 2); raise(SIGKILL); }
    if (!is_pipe(fd)) late(what);
    return REAL(write)(fd, data, size);
}

static ssize_t positioned(int fd, const void *data, size_t size, off_t at) {
    long what = verdict(fd, 'p');
    if (what > 0) { errno = (int)what; return -1; }
    if (what == HALF && size > 1) return REAL(pwrite)(fd, data, size / 2, at);
    if (what == KILL) { REAL(pwrite)(fd, data, size / 2, at); raise(SIGKILL); }
    late(what);
    return REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return positioned(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return positioned(fd, data, size, at);
}

static int plain(long what) {
    if (what == KILL) raise(SIGKILL);
    if (what > 0) { errno = (int)what; return -1; }
    late(what);
    return 0;
}

int fsync(int fd) { return plain(verdict(fd, 's')) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return plain(verdict(fd, 's')) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t size) {
    return plain(verdict(fd, 't')) ? -1 : REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    return plain(verdict(fd, 't')) ? -1 : REAL(ftruncate64)(fd, size);
}

int pthread_create(pthread_t *made, const pthread_attr_t *how, void *(*run)(void *),
                   void *with) {
    const char *until = getenv("FAULTIO_FREE");
    if (until && access(until, F_OK)) return EAGAIN;
    return REAL(pthread_create)(made, how, run, with);
}
