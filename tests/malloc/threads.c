// Threads that end while others hold their blocks, destructors that allocate, and threads with small stacks.
#include "need.h"
#include <limits.h>
#include <pthread.h>

enum { THREADS = 6, ROUNDS = 30, BLOCKS = 3000 };

struct handed {
    unsigned char *block;
    size_t bytes;
};
static struct handed table[THREADS * BLOCKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t early, late[64];
static int destroyed;

static void allocates_again(void *value) {
    free(value);
    for (int i = 0; i < 100; i++) free(hide(malloc(i * 50)));
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
}

static void *exchanges(void *argument) {
    uint64_t state = (uintptr_t)argument * 7919 + 1;
    pthread_setspecific(early, malloc(100));
    pthread_setspecific(late[63], malloc(200));
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t random = next_random(&state);
        size_t at = random % (THREADS * BLOCKS), bytes = random >> 40 & (random & 0x100 ? 0x3f : 0x1fff);
        if ((random & 0xfff000) == 0) bytes += 60000;
        unsigned char *block = malloc(bytes);
        NEED(block);
        fill(block, bytes, bytes);
        pthread_mutex_lock(&lock);
        struct handed before = table[at];
        table[at] = (struct handed){block, bytes};
        pthread_mutex_unlock(&lock);
        if (before.block) {
            NEED(is_filled(before.block, before.bytes, before.bytes));
            if (random & 0x200) before.block = realloc(before.block, before.bytes / 2 + 1);
            free(before.block);
        }
    }
    return malloc(1000);
}

static void *on_a_small_stack(void *argument) {
    void *block = malloc((uintptr_t)argument);
    NEED(block);
    block = realloc(block, 100000);
    NEED(block);
    free(block);
    return NULL;
}

int main(void) {
    NEED(pthread_key_create(&early, allocates_again) == 0);
    // Beyond the 32nd key, the C library allocates for a thread's values.
    for (int i = 0; i < 64; i++) NEED(pthread_key_create(&late[i], allocates_again) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            NEED(pthread_create(&threads[i], NULL, exchanges, (void *)(round * THREADS + i)) == 0);
        for (int i = 0; i < THREADS; i++) {
            void *result;
            NEED(pthread_join(threads[i], &result) == 0 && malloc_usable_size(result) >= 1000);
            free(result);
        }
    }
    NEED(destroyed == 2 * THREADS * ROUNDS);
    for (size_t i = 0; i < THREADS * BLOCKS; i++) {
        NEED(is_filled(table[i].block, table[i].bytes, table[i].bytes));
        free(table[i].block);
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    NEED(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) == 0);
    for (uintptr_t i = 0; i < 20; i++) {
        pthread_t thread;
        NEED(pthread_create(&thread, &attributes, on_a_small_stack, (void *)(i * 100)) == 0);
        NEED(pthread_join(thread, NULL) == 0);
    }
    puts("ok");
}
