// A process whose threads all end, the first one before the others, ends with the last: the sweeper does not keep it.
#include "need.h"
#include <pthread.h>

enum { BLOCKS = 200000 };

static void *works(void *nothing) {
    static void *blocks[BLOCKS];
    // More than a program must have mapped to get a sweeper.
    for (int i = 0; i < BLOCKS; i++) NEED(blocks[i] = malloc(64));
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    puts("ok");
    return nothing;
}

int main(void) {
    pthread_t worker;
    free(hide(malloc(10)));
    NEED(pthread_create(&worker, NULL, works, NULL) == 0);
    pthread_detach(worker);
    pthread_exit(NULL);
}
