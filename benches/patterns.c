// Patterns of allocation that other allocators are judged by, each for about a second: `programs.py --set patterns`.
//
//     patterns NAME THREADS
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state * 0x2545F4914F6CDD1D) >> 11;
}

static void *filled(size_t bytes) {
    char *block = malloc(bytes);
    if (block == NULL) abort();
    return memset(block, 1, bytes);
}

// Both ends and one byte of each OS page.
static void *touched(size_t bytes) {
    char *block = malloc(bytes);
    if (block == NULL) abort();
    for (size_t at = 0; at < bytes; at += 4096) block[at] = 1;
    block[bytes - 1] = 1;
    return block;
}

// The first byte.
static void *begun(size_t bytes) {
    char *block = malloc(bytes);
    if (block == NULL) abort();
    block[0] = 1;
    return block;
}

static void free_all(void **blocks, size_t count) {
    for (size_t i = 0; i < count; i++) free(blocks[i]);
    free(blocks);
}

static int threads;

// `count` buffers, which grow in turns by up to `step` bytes, until each has `most`.
static void grow(size_t count, size_t step, size_t most, int random) {
    uint64_t state = 9;
    char **buffers = calloc(count, sizeof *buffers);
    size_t *bytes = calloc(count, sizeof *bytes);
    for (size_t at = step; at < most; at += step) {
        for (size_t i = 0; i < count; i++) {
            size_t more = random ? 1 + next_random(&state) % step : step;
            buffers[i] = realloc(buffers[i], bytes[i] + more);
            memset(buffers[i] + bytes[i], 1, more);
            bytes[i] += more;
        }
    }
    free_all((void **)buffers, count);
    free(bytes);
}

static void strings(void) { for (int i = 0; i < 50; i++) grow(2000, 60, 2400, 1); }
static void buffers(void) { for (int i = 0; i < 50; i++) grow(300, 500, 30000, 0); }
static void large_buffers(void) { for (int i = 0; i < 20; i++) grow(50, 1000, 400000, 0); }
static void one_buffer(void) { for (int i = 0; i < 6; i++) grow(1, 4096, 64 << 20, 0); }

// One size after the other: all blocks of a size, then they are freed in order, in reverse, or every other first.
static void *sizes_of(void *unused) {
    (void)unused;
    void **blocks = calloc(60000, sizeof *blocks);
    for (int round = 0; round < 24; round++) {
        for (int size = 8; size <= 1000; size = size * 5 / 4 + 1) {
            int count = size > 100 ? 10000 : 60000;
            for (int i = 0; i < count; i++) *(char *)(blocks[i] = malloc(size + i % 8)) = 1;
            if (round % 3 == 0) for (int i = 0; i < count; i++) free(blocks[i]);
            if (round % 3 == 1) for (int i = count; i-- > 0;) free(blocks[i]);
            if (round % 3 == 2) for (int from = 0; from < 2; from++) for (int i = from; i < count; i += 2) free(blocks[i]);
        }
    }
    free(blocks);
    return NULL;
}

// Random places of a table, emptied and filled; half of the blocks are no larger than half of the others.
static void *table_of(void *seed) {
    enum { PLACES = 1 << 15 };
    uint64_t state = (uintptr_t)seed * 991 + 7;
    void **blocks = calloc(PLACES, sizeof *blocks);
    for (int turn = 0; turn < 5000000; turn++) {
        // Some places far more often than others.
        size_t place = next_random(&state) % (1 << (5 + next_random(&state) % 11));
        free(blocks[place]);
        int doubling = 3 + __builtin_ctz((unsigned)next_random(&state) | 1 << 12);
        blocks[place] = next_random(&state) % 2 ? filled((1u << doubling) + next_random(&state) % (1u << doubling)) : NULL;
    }
    free_all(blocks, PLACES);
    return NULL;
}

// Some threads make batches of blocks, as many others free them.
enum { BATCH = 4096, BATCHES_WAITING = 100 };
struct batch {
    struct batch *next;
    void *blocks[BATCH];
};
static struct batch *waiting;
static int waiting_count, makers;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t is_more = PTHREAD_COND_INITIALIZER, is_less = PTHREAD_COND_INITIALIZER;

static void *batches_made(void *seed) {
    static const int SIZES[] = {8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048};
    uint64_t state = (uintptr_t)seed * 77 + 1;
    for (int round = 0; round < 400; round++) {
        struct batch *batch = malloc(sizeof *batch);
        for (int i = 0; i < BATCH; i++) batch->blocks[i] = filled(SIZES[next_random(&state) % 17]);
        pthread_mutex_lock(&lock);
        while (waiting_count >= BATCHES_WAITING) pthread_cond_wait(&is_less, &lock);
        batch->next = waiting;
        waiting = batch;
        waiting_count++;
        pthread_cond_signal(&is_more);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    makers--;
    pthread_cond_broadcast(&is_more);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void *batches_freed(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (waiting == NULL && makers > 0) pthread_cond_wait(&is_more, &lock);
        struct batch *batch = waiting;
        if (batch != NULL) {
            waiting = batch->next;
            waiting_count--;
            pthread_cond_signal(&is_less);
        }
        pthread_mutex_unlock(&lock);
        if (batch == NULL) return NULL;
        for (int i = 0; i < BATCH; i++) free(batch->blocks[i]);
        free(batch);
    }
}

// Blocks of up to 16,000 bytes, of which each thread leaves some for its neighbour to free.
enum { LEFT = 128 };
static _Atomic(void **) left[64];

static void *neighbour_of(void *seed) {
    enum { PLACES = 4000 };
    int number = (int)(uintptr_t)seed - 1;
    uint64_t state = number * 31 + 5;
    void **blocks = calloc(PLACES, sizeof *blocks);
    for (int round = 0; round < 2000; round++) {
        size_t place = next_random(&state) % PLACES;
        for (int i = 0; i < 400; i++, place = (place + 11) % PLACES) {
            free(blocks[place]);
            blocks[place] = i % 4 == 0 ? NULL : touched(16 + next_random(&state) % 16000);
        }
        void **mine = malloc(LEFT * sizeof *mine);
        for (int i = 0; i < LEFT; i++) mine[i] = touched(16 + next_random(&state) % 16000);
        void **gone[] = {atomic_exchange(&left[(number + 1) % threads], mine), atomic_exchange(&left[number], NULL)};
        for (int i = 0; i < 2; i++) if (gone[i] != NULL) free_all(gone[i], LEFT);
    }
    free_all(blocks, PLACES);
    return NULL;
}

// Short threads that exchange blocks by a table, and keep some in arrays that grow by a little.
static _Atomic(void *) exchanged[1000];

static void *short_thread(void *seed) {
    enum { BLOCKS = 60000 };
    uint64_t state = (uintptr_t)seed * 7919 + 13;
    void **kept = NULL;
    size_t count = 0, room = 0;
    for (int turn = 0; turn < BLOCKS; turn++) {
        if (count == room) kept = realloc(kept, (room += 100) * sizeof *kept);
        size_t words = 1 << next_random(&state) % 6;
        kept[count++] = filled(8 * (next_random(&state) % 100 == 0 ? words * 50 : words));
        size_t place = next_random(&state) % count;
        if (turn % 3 > 0) {
            free(kept[place]);
            kept[place] = NULL;
        }
        if (turn % 4 == 0) kept[place] = atomic_exchange(&exchanged[next_random(&state) % 1000], kept[place]);
    }
    free_all(kept, count);
    return NULL;
}

// Generations of threads, each of which goes on with a table that the one before it left.
enum { TABLE = 10000 };

static void *generation(void *table) {
    void **blocks = table;
    // The first place is no block's: what comes next at random.
    uint64_t state = (uintptr_t)blocks[0] | 1;
    for (int turn = 0; turn < 20000; turn++) {
        size_t place = 1 + next_random(&state) % (TABLE - 1);
        free(blocks[place]);
        blocks[place] = touched(10 + next_random(&state) % 490);
    }
    blocks[0] = (void *)state;
    return NULL;
}

static void on_threads(void *(*work)(void *), void **arguments) {
    pthread_t running[64];
    for (intptr_t i = 0; i < threads; i++)
        if (pthread_create(&running[i], NULL, work, arguments ? arguments[i] : (void *)(i + 1)) != 0) abort();
    for (int i = 0; i < threads; i++) pthread_join(running[i], NULL);
}

static void generations(void) {
    void *tables[64];
    for (int i = 0; i < threads; i++) tables[i] = calloc(TABLE, sizeof(void *));
    for (int round = 0; round < 60; round++) on_threads(generation, tables);
}

static void batches(void) {
    pthread_t freers[64];
    makers = threads;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&freers[i], NULL, batches_freed, NULL) != 0) abort();
    on_threads(batches_made, NULL);
    for (int i = 0; i < threads; i++) pthread_join(freers[i], NULL);
}

// `count` blocks, a random one of which is replaced at a time.
static void replace(size_t count, size_t least, size_t most, int turns, void *(*made)(size_t)) {
    uint64_t state = 9;
    void **blocks = calloc(count, sizeof *blocks);
    for (int turn = 0; turn < turns; turn++) {
        size_t place = next_random(&state) % count;
        free(blocks[place]);
        blocks[place] = made(least + next_random(&state) % (most - least));
    }
    free_all(blocks, count);
}

// Buffers of 33 to 128 KB that one thread of each two makes, and the other drops.
enum { PASSED = 64 };
static _Atomic(void *) passed[32][PASSED];

static void *one_of_two(void *seed) {
    enum { TURNS = 200000 };
    int number = (int)(uintptr_t)seed - 1, makes = number % 2 == 0;
    uint64_t state = number * 31 + 5;
    for (int turn = 0; turn < TURNS; turn++) {
        _Atomic(void *) *place = &passed[number / 2][turn % PASSED];
        void *buffer = makes ? touched(33000 + next_random(&state) % 95000) : NULL;
        while ((atomic_load(place) != NULL) == makes) sched_yield();
        buffer = atomic_exchange(place, buffer);
        if (!makes) free(buffer);
    }
    return NULL;
}

// Threads replace random blocks of one table, and so free each other's, of all pools at random.
enum { SWAPPED = 50000 };
static _Atomic(void *) swapped[SWAPPED];

static void *swapper(void *most) {
    static _Atomic uint64_t seeds = 1;
    uint64_t state = atomic_fetch_add(&seeds, 1) * 7919;
    for (int turn = 0; turn < 1000000; turn++) {
        char *block = malloc(16 + next_random(&state) % ((uintptr_t)most - 16));
        if (block == NULL) abort();
        *block = 1;
        free(atomic_exchange(&swapped[next_random(&state) % SWAPPED], block));
    }
    return NULL;
}

static void swaps_of(uintptr_t most) {
    void *mosts[64];
    for (int i = 0; i < threads; i++) mosts[i] = (void *)most;
    on_threads(swapper, mosts);
    for (int i = 0; i < SWAPPED; i++) free(swapped[i]);
}

// What a thread of a service does: buffers of 32 to 256 KiB, 40 of them at a time, filled and dropped at random.
static void *requests_of(void *seed) {
    enum { BUFFERS = 40, TURNS = 50000 };
    uint64_t state = (uintptr_t)seed * 977 + 1;
    void **buffers = calloc(BUFFERS, sizeof *buffers);
    for (int turn = 0; turn < TURNS; turn++) {
        size_t place = next_random(&state) % BUFFERS;
        free(buffers[place]);
        buffers[place] = filled(32768 + next_random(&state) % 229376);
    }
    free_all(buffers, BUFFERS);
    return NULL;
}

static void pairs(void) { replace(1, 16, 64, 20000000, touched); }
static void alike(void) { replace(1000, 64, 65, 20000000, touched); }
static void small(void) { replace(10000, 16, 256, 10000000, touched); }
static void mixed(void) { replace(10000, 16, 1024, 10000000, touched); }
static void middle(void) { replace(300, 8000, 64000, 3000000, touched); }
static void spans(void) { replace(300, 60000, 600000, 300000, touched); }
static void sparse(void) { replace(300, 33000, 500000, 2000000, begun); }
static void sparse_small(void) { replace(1000, 1000, 128000, 3000000, begun); }
static void swaps(void) { swaps_of(3000); }
static void small_swaps(void) { swaps_of(200); }
static void sizes(void) { on_threads(sizes_of, NULL); }
static void table(void) { on_threads(table_of, NULL); }
static void neighbours(void) { on_threads(neighbour_of, NULL); }
static void passing(void) { on_threads(one_of_two, NULL); }
static void requests(void) { on_threads(requests_of, NULL); }
static void short_threads(void) { for (int round = 0; round < 20; round++) on_threads(short_thread, NULL); }

static const struct {
    const char *name;
    void (*run)(void);
} PATTERNS[] = {
    {"strings", strings},   {"buffers", buffers}, {"large-buffers", large_buffers}, {"one-buffer", one_buffer},
    {"sizes", sizes},       {"table", table},     {"batches", batches},             {"neighbours", neighbours},
    {"short-threads", short_threads}, {"generations", generations}, {"middle", middle}, {"spans", spans},
    {"requests", requests}, {"pairs", pairs},     {"alike", alike},                 {"small", small},
    {"mixed", mixed},       {"sparse", sparse},     {"sparse-small", sparse_small}, {"passed", passing},
    {"swaps", swaps},       {"small-swaps", small_swaps},
};

int main(int count, char **arguments) {
    threads = count > 2 ? atoi(arguments[2]) : 1;
    for (size_t i = 0; count > 1 && threads >= 1 && threads <= 64 && i < sizeof PATTERNS / sizeof *PATTERNS; i++) {
        if (strcmp(arguments[1], PATTERNS[i].name) == 0) {
            PATTERNS[i].run();
            return 0;
        }
    }
    fprintf(stderr, "patterns NAME [THREADS, up to 64]\n");
    return 2;
}
