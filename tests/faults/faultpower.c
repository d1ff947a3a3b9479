/* Keeps beside the files what the disk would hold after power loss: preloaded.
 *
 *   FAULTPOWER_PATH    only files whose path contains this text
 *   FAULTPOWER_SHADOW  folder of the copies; a path's slashes become percent signs
 *
 * A file is copied when it is synced. Names go at once, the worst for whoever removes a
 * file before what replaces it is synced; a file that was never synced has no name.
 * One thread at a time copies: an older copy would replace a newer one, as no disk does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define LONG 8192

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int shadow(const char *path, char *copy) {
    const char *wanted = getenv("FAULTPOWER_PATH"), *into = getenv("FAULTPOWER_SHADOW");
    char *at;
    if (!wanted || !into || !strstr(path, wanted)) return 0;
    snprintf(copy, LONG, "%s/%s", into, path);
    for (at = copy + strlen(into) + 1; *at; at++)
        if (*at == '/') *at = '%';
    return 1;
}

static void keep(int fd) {
    char link[64], path[LONG / 2], copy[LONG], fresh[LONG + 8], data[1 << 16];
    ssize_t size;
    int keep_errno = errno, from, to;
    struct stat found;
    pthread_mutex_lock(&turn);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof path - 1);
    if (size < 0) goto out;
    path[size] = 0;
    if (!shadow(path, copy) || stat(path, &found) || !S_ISREG(found.st_mode)) goto out;
    snprintf(fresh, sizeof fresh, "%s.%d", copy, gettid());
    from = open(link, O_RDONLY | O_CLOEXEC);
    to = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from >= 0 && to >= 0) {
        while ((size = read(from, data, sizeof data)) > 0)
            if (write(to, data, size) != size) abort();
        REAL(rename)(fresh, copy);
    }
    if (from >= 0) close(from);
    if (to >= 0) close(to);
out:
    pthread_mutex_unlock(&turn);
    errno = keep_errno;
}

int fsync(int fd) {
    int done = REAL(fsync)(fd);
    if (!done) keep(fd);
    return done;
}

int fdatasync(int fd) {
    int done = REAL(fdatasync)(fd);
    if (!done) keep(fd);
    return done;
}

int unlink(const char *path) {
    char copy[LONG];
    int done = REAL(unlink)(path), keep_errno = errno;
    pthread_mutex_lock(&turn);
    if (!done && shadow(path, copy)) REAL(unlink)(copy);
    pthread_mutex_unlock(&turn);
    errno = keep_errno;
    return done;
}

int rename(const char *old, const char *new) {
    char from[LONG], to[LONG];
    int done = REAL(rename)(old, new), keep_errno = errno;
    pthread_mutex_lock(&turn);
    if (!done && shadow(old, from) && shadow(new, to)) REAL(rename)(from, to);
    pthread_mutex_unlock(&turn);
    errno = keep_errno;
    return done;
}
