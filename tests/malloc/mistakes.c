// One mistake, named by the argument. Survives it, but for HIGHWATER_CHECK=1; the last two are for the hardened library.
#include "need.h"
#include <pthread.h>
#include <sys/mman.h>

static void *frees(void *block) {
    free(block);
    return NULL;
}

static pthread_barrier_t passed;
static char *passing;

static void *frees_what_is_passed(void *unused) {
    pthread_barrier_wait(&passed);
    return frees(passing);
}

// A block of each pool, and the first of them once more.
static void *frees_here_and_there(void *count) {
    char **blocks = (char **)passing;
    NEED(hide(malloc(100)));
    for (intptr_t i = 0; i < (intptr_t)count; i += 146) free(blocks[i]);
    free(blocks[0]);
    return NULL;
}

int main(int count, char **arguments) {
    NEED(count == 2);
    const char *what = arguments[1];
    char *small = hide(malloc(100)), *span = hide(malloc(100000)), *large = hide(malloc(2000000));
    NEED(small && span && large);
    if (!strcmp(what, "foreign")) {
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        NEED(page != MAP_FAILED);
        free(page);
        memset(page, 1, 4096);
        errno = 0;
        NEED(realloc(page, 100) == NULL && errno == ENOMEM && malloc_usable_size(page) == 0);
    } else if (!strcmp(what, "inside-span")) {
        free(span + 4096);
    } else if (!strcmp(what, "inside-large")) {
        free(large + 4096);
    } else if (!strcmp(what, "span-twice")) {
        free(span);
        free(span);
    } else if (!strcmp(what, "large-twice")) {
        free(large);
        free(large);
    } else if (!strcmp(what, "inside-small")) {
        free(small + 16);
    } else if (!strcmp(what, "small-twice")) {
        free(small);
        free(small);
    } else if (!strcmp(what, "small-twice-elsewhere")) {
        // From a pool that is not the current one any more.
        enum { MANY = 1000 };
        char *many[MANY];
        for (int i = 0; i < MANY; i++) NEED(many[i] = malloc(100));
        free(many[3]);
        free(many[3]);
    } else if (!strcmp(what, "small-twice-by-another")) {
        pthread_t thread;
        NEED(pthread_create(&thread, NULL, frees, small) == 0 && pthread_join(thread, NULL) == 0);
        char *kept = hide(malloc(100));
        free(small);
        free(kept);
    } else if (!strcmp(what, "latest-twice-by-another")) {
        // Nothing is allocated between, so that it is what this thread would free next.
        pthread_t thread;
        NEED(pthread_barrier_init(&passed, NULL, 2) == 0);
        NEED(pthread_create(&thread, NULL, frees_what_is_passed, NULL) == 0);
        NEED(passing = hide(malloc(100)));
        pthread_barrier_wait(&passed);
        NEED(pthread_join(thread, NULL) == 0);
        free(passing);
    } else if (!strcmp(what, "guest-twice")) {
        // From more pools than frees are held back for: some of the blocks are to be allocated again by who freed them.
        enum { MANY = 200 * 146 };
        static char *many[MANY];
        for (int i = 0; i < MANY; i++) NEED(many[i] = hide(malloc(100)));
        passing = (char *)many;
        pthread_t thread;
        NEED(pthread_create(&thread, NULL, frees_here_and_there, (void *)(intptr_t)MANY) == 0 && pthread_join(thread, NULL) == 0);
    } else if (!strcmp(what, "never")) {
        free(small + 100 * 112);
    } else if (!strcmp(what, "overflow")) {
        small[100] = 0;
        free(small);
    } else if (!strcmp(what, "after-free")) {
        free(small);
        small[3] ^= 1;
        for (int i = 0; i < 1000; i++) NEED(hide(malloc(100)));
    } else {
        NEED(!strcmp(what, "none"));
        free(small);
        free(span);
        free(large);
    }
    puts("survived");
}
