// The library is not preloaded but loaded while the program runs, used by several threads, and closed.
#include "need.h"
#include <dlfcn.h>
#include <pthread.h>

static void *(*allocate)(size_t);
static void (*release)(void *);

static void *works(void *argument) {
    (void)argument;
    void *blocks[2000];
    for (int i = 0; i < 2000; i++) {
        NEED(blocks[i] = allocate(i * 40));
        memset(blocks[i], 1, i * 40);
    }
    for (int i = 0; i < 2000; i++) release(blocks[i]);
    return allocate(10);
}

int main(int count, char **arguments) {
    NEED(count == 2);
    for (int round = 0; round < 3; round++) {
        void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
        if (!library) dprintf(2, "%s\n", dlerror());
        NEED(library);
        allocate = (void *(*)(size_t))dlsym(library, "malloc");
        release = (void (*)(void *))dlsym(library, "free");
        NEED(allocate && release && allocate != malloc);
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, works, NULL) == 0);
        works(NULL);
        for (int i = 0; i < 4; i++) {
            void *result;
            NEED(pthread_join(threads[i], &result) == 0);
            if (i % 2) release(result);
        }
        NEED(dlclose(library) == 0);
    }
    puts("ok");
}
