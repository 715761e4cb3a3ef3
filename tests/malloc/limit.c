// Bursts of blocks of one size after the other, and one block that grows. Says how many KiB were resident at most.
#include "need.h"

enum { BURST = 48 << 20 };
static const size_t sizes[] = {64, 1000, 16 << 10, 48, 100 << 10, 3000, 700 << 10, 400};

// Each block leads to the one before it.
static void burst(size_t size) {
    void **last = NULL;
    for (size_t made = 0; made < BURST; made += size) {
        void **block = memset(malloc(size), 1, size);
        *block = last;
        last = block;
    }
    while (last) {
        void **before = *last;
        free(last);
        last = before;
    }
}

static void grow(void) {
    char *block = NULL;
    for (size_t size = 1 << 20; size <= BURST; size += 1 << 20) {
        NEED(block = realloc(block, size));
        memset(block + size - (1 << 20), 1, 1 << 20);
    }
    free(block);
}

int main(void) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) burst(sizes[i]);
    grow();
    char line[100];
    FILE *status = fopen("/proc/self/status", "r");
    NEED(status);
    for (long kib; fgets(line, sizeof line, status);)
        if (sscanf(line, "VmHWM: %ld kB", &kib) == 1) printf("%ld\n", kib);
}
