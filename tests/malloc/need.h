// What every program here uses: a requirement that says where it failed, and values that look random.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEED(holds)                                                                       \
    do {                                                                                  \
        if (!(holds)) {                                                                   \
            dprintf(2, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #holds, errno); \
            _exit(1);                                                                     \
        }                                                                                 \
    } while (0)

static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline int is_aligned(const void *block, size_t align) { return ((uintptr_t)block & (align - 1)) == 0; }

// The compiler knows what malloc does, and must not use that here.
static inline void *hide(void *block) {
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static inline void fill(unsigned char *block, size_t bytes, unsigned seed) {
    for (size_t i = 0; i < bytes; i++) block[i] = (unsigned char)(seed + i * 31);
}

static inline int is_filled(const unsigned char *block, size_t bytes, unsigned seed) {
    for (size_t i = 0; i < bytes; i++)
        if (block[i] != (unsigned char)(seed + i * 31)) return 0;
    return 1;
}
