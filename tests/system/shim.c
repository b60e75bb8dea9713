/* Loaded before the C library into a server: lets system calls on chosen files fail.
 *
 * TIERCE_SHIM names a file of rules that is mapped, so that a test changes them while the server
 * runs. A rule says which call on which path fails or is late, how often, and how. shim.py writes
 * the rules.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NONE, WRITE, READ, SYNC };
enum { RULE_COUNT = 8, PATH_BYTES = 244, SECTOR = 512, SHORT = 0 };

struct rule {
    int operation;
    int error; /* SHORT: fewer bytes than asked, and no error; below 0: late by so many us */
    int percent;
    char path[PATH_BYTES]; /* part of the file's path */
};

static struct rule *rules;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("TIERCE_SHIM");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, RULE_COUNT * sizeof *rules, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    rules = mapped == MAP_FAILED ? NULL : mapped;
}

static int chance(int percent) {
    static __thread unsigned seed;
    if (!seed)
        seed = (unsigned)getpid() ^ (unsigned)(size_t)&seed ^ 1u;
    return rand_r(&seed) % 100 < percent;
}

/* The rule that this call on this file falls under, or NULL. One that only makes it late has been
 * waited for then. */
static const struct rule *rule_of(int operation, int file) {
    char path[4096] = "";
    for (int index = 0; rules && index < RULE_COUNT; index++) {
        const struct rule *rule = &rules[index];
        if (rule->operation != operation)
            continue;
        if (!*path) {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", file);
            ssize_t length = readlink(link, path, sizeof path - 1);
            path[length > 0 ? length : 0] = 0;
        }
        if (!strstr(path, rule->path) || !chance(rule->percent))
            continue;
        if (rule->error >= 0)
            return rule;
        usleep((useconds_t)-rule->error);
        return NULL;
    }
    return NULL;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SYNCS(name)                                                                                \
    int name(int file) {                                                                           \
        const struct rule *rule = rule_of(SYNC, file);                                             \
        if (rule) {                                                                                \
            errno = rule->error;                                                                   \
            return -1;                                                                             \
        }                                                                                          \
        return NEXT(name)(file);                                                                   \
    }

SYNCS(fsync)
SYNCS(fdatasync)

#define WRITES(name, offset_type)                                                                  \
    ssize_t name(int file, const void *data, size_t length, offset_type offset) {                  \
        const struct rule *rule = rule_of(WRITE, file);                                            \
        if (rule && rule->error != SHORT) {                                                        \
            errno = rule->error;                                                                   \
            return -1;                                                                             \
        }                                                                                          \
        if (rule && length > SECTOR)                                                               \
            length = (length / 2 + SECTOR - 1) / SECTOR * SECTOR;                                  \
        return NEXT(name)(file, data, length, offset);                                             \
    }

WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

/* A short read fills half of the first buffer. */
#define READS(name, offset_type)                                                                   \
    ssize_t name(int file, const struct iovec *buffers, int count, offset_type offset, int flags) {\
        const struct rule *rule = rule_of(READ, file);                                             \
        if (rule && rule->error != SHORT) {                                                        \
            errno = rule->error;                                                                   \
            return -1;                                                                             \
        }                                                                                          \
        if (!rule || !count || buffers[0].iov_len <= SECTOR)                                       \
            return NEXT(name)(file, buffers, count, offset, flags);                                \
        struct iovec half = buffers[0];                                                            \
        half.iov_len = (half.iov_len / 2 + SECTOR - 1) / SECTOR * SECTOR;                          \
        return NEXT(name)(file, &half, 1, offset, flags);                                          \
    }

READS(preadv2, off_t)
READS(preadv64v2, off64_t)
