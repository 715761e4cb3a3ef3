// No memory is left: null and ENOMEM, and what comes later works. Frees work meanwhile.
#include "need.h"
#include <sys/resource.h>

static void limit(size_t more) {
    FILE *file = fopen("/proc/self/statm", "r");
    size_t pages;
    NEED(file && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    rlim_t bytes = pages * (size_t)sysconf(_SC_PAGESIZE) + more;
    struct rlimit limit = {bytes, RLIM_INFINITY};
    NEED(setrlimit(RLIMIT_AS, &limit) == 0);
}

struct link {
    struct link *next;
};

int main(void) {
    static const size_t sizes[] = {16, 500, 5000, 40000, 300000, 3000000};
    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        size_t bytes = sizes[at], count = 0;
        limit(24 << 20);
        struct link *links = NULL;
        errno = 0;
        for (struct link *link; (link = hide(malloc(bytes))) != NULL; links = link, count++) link->next = links;
        NEED(errno == ENOMEM && count * bytes > 8 << 20);
        errno = 0;
        NEED(hide(calloc(100, bytes)) == NULL && errno == ENOMEM);
        while (links) {
            struct link *next = links->next;
            free(links);
            links = next;
        }
        void *block = hide(malloc(bytes));
        NEED(block);
        free(block);
        limit(RLIM_INFINITY / 2);
        (void)malloc_trim(0);
    }
    puts("ok");
}
