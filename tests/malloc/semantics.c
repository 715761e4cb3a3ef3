// What C, POSIX and glibc promise of each function, one by one.
#include "need.h"
#include <dlfcn.h>

static const size_t too_large[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, PTRDIFF_MAX - 8192};
#define TOO_LARGE (sizeof too_large / sizeof *too_large)

static void every_size_is_aligned_usable_and_its_own(void) {
    for (size_t bytes = 0; bytes < 70000; bytes += bytes < 2100 ? 1 : 97) {
        unsigned char *one = hide(malloc(bytes)), *two = hide(malloc(bytes));
        NEED(one && two && one != two);
        NEED(is_aligned(one, 16) && is_aligned(two, 16));
        size_t usable = malloc_usable_size(one);
        NEED(usable >= bytes && malloc_usable_size(two) >= bytes);
        fill(one, usable, 1);
        fill(two, malloc_usable_size(two), 2);
        NEED(is_filled(one, usable, 1));
        free(one);
        free(two);
    }
    for (size_t bytes = 100000; bytes < 40 << 20; bytes = bytes * 3 / 2) {
        unsigned char *block = hide(malloc(bytes));
        NEED(block && is_aligned(block, 16) && malloc_usable_size(block) >= bytes);
        block[0] = block[bytes - 1] = 7;
        free(block);
    }
    NEED(malloc_usable_size(NULL) == 0);
    free(NULL);
}

static void what_is_too_large_is_refused_with_enomem(void) {
    for (size_t i = 0; i < TOO_LARGE; i++) {
        void *out = (void *)42;
        size_t bytes = too_large[i];
        errno = 0;
        NEED(hide(malloc(bytes)) == NULL && errno == ENOMEM);
        errno = 0;
        NEED(hide(calloc(1, bytes)) == NULL && errno == ENOMEM);
        errno = 0;
        NEED(hide(memalign(64, bytes)) == NULL && errno == ENOMEM);
        errno = 0;
        NEED(hide(aligned_alloc(4096, bytes)) == NULL && errno == ENOMEM);
        errno = 0;
        NEED(hide(valloc(bytes)) == NULL && errno == ENOMEM);
        errno = 0;
        NEED(hide(pvalloc(bytes)) == NULL && errno == ENOMEM);
        errno = 5;
        NEED(posix_memalign(&out, 64, bytes) == ENOMEM && errno == 5 && out == (void *)42);
    }
    for (size_t count = 2; count != 0 && count < SIZE_MAX / 2; count *= 3) {
        size_t size = SIZE_MAX / count + 1;
        errno = 0;
        NEED(hide(calloc(count, size)) == NULL && errno == ENOMEM);
        errno = 0;
        NEED(hide(calloc(size, count)) == NULL && errno == ENOMEM);
        unsigned char *block = malloc(100);
        fill(block, 100, 3);
        errno = 0;
        NEED(hide(reallocarray(block, count, size)) == NULL && errno == ENOMEM);
        NEED(is_filled(block, 100, 3));
        free(block);
    }
}

static void calloc_gives_zeros_where_others_left_something(void) {
    for (size_t bytes = 1; bytes < 3 << 20; bytes = bytes * 5 / 3 + 1) {
        for (int round = 0; round < 4; round++) {
            unsigned char *block = hide(calloc(1, bytes));
            NEED(block);
            for (size_t i = 0; i < bytes; i++) NEED(block[i] == 0);
            memset(block, 0xff, malloc_usable_size(block));
            free(block);
        }
    }
    NEED(hide(calloc(0, 16)) != hide(calloc(16, 0)));
}

static void realloc_keeps_what_was_there(void) {
    static const size_t sizes[] = {1,     8,     16,     24,     100,    128,     1000,    1024,    1025,   5000,
                                   32768, 32769, 100000, 524288, 524289, 1000000, 5000000, 9000000, 200000, 40000};
    const int count = sizeof sizes / sizeof *sizes;
    for (int from = 0; from < count; from++) {
        for (int to = 0; to < count; to++) {
            size_t kept = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            unsigned char *block = malloc(sizes[from]);
            fill(block, sizes[from], from);
            block = hide(realloc(block, sizes[to]));
            NEED(block && is_aligned(block, 16) && malloc_usable_size(block) >= sizes[to]);
            NEED(is_filled(block, kept, from));
            fill(block, sizes[to], to);
            free(block);
        }
    }
    unsigned char *grown = NULL;
    for (size_t bytes = 1; bytes < 3 << 20; bytes += bytes / 8 + 1) {
        grown = hide(realloc(grown, bytes));
        NEED(grown);
        grown[bytes - 1] = 9;
    }
    // Who asks for what it has already got is not moved, however it came by its block.
    for (size_t bytes = 1; bytes < 1000000; bytes += bytes / 30 + 1) {
        for (size_t more = 1; more < bytes; more *= 2) {
            char *block = hide(realloc(hide(malloc(bytes)), bytes + more));
            NEED(block != NULL && hide(realloc(block, bytes + more)) == block);
            free(block);
        }
    }
    errno = 0;
    NEED(hide(realloc(grown, PTRDIFF_MAX)) == NULL && errno == ENOMEM);
    grown[0] = 1;
    NEED(realloc(grown, 0) == NULL);
    void *of_nothing = hide(realloc(NULL, 0));
    NEED(of_nothing != NULL);
    free(of_nothing);
}

// Two that grow in turns, again and again: into what those before left, where they can go on.
static void what_grows_in_turns_keeps_its_bytes(void) {
    for (size_t round = 0; round < 8; round++) {
        size_t most = round % 4 == 3 ? 4000000 : 700000, bytes;
        unsigned char *blocks[2] = {hide(malloc(100000)), hide(malloc(100000))};
        for (bytes = 100000; bytes < most; bytes += bytes / 2) {
            for (int which = 0; which < 2; which++) {
                memset(blocks[which], which + 1, bytes);
                unsigned char *block = blocks[which] = hide(realloc(blocks[which], bytes + bytes / 2));
                NEED(block != NULL && malloc_usable_size(block) >= bytes + bytes / 2);
                NEED(block[0] == which + 1 && block[bytes / 2] == which + 1 && block[bytes - 1] == which + 1);
            }
        }
        for (; bytes > 100000; bytes -= bytes / 4) {
            for (int which = 0; which < 2; which++) {
                unsigned char *block = blocks[which] = hide(realloc(blocks[which], bytes - bytes / 4));
                NEED(block != NULL && malloc_usable_size(block) >= bytes - bytes / 4);
                NEED(block[0] == which + 1 && block[65536] == which + 1);
            }
        }
        free(blocks[0]);
        free(blocks[1]);
    }
}

static void alignments_are_kept_and_wrong_ones_refused(void) {
    for (size_t align = 1; align <= 8 << 20; align *= 2) {
        for (size_t bytes = 0; bytes < 200000; bytes = bytes * 3 + 1) {
            void *out = NULL;
            void *block = hide(memalign(align, bytes));
            NEED(block && is_aligned(block, align) && malloc_usable_size(block) >= bytes);
            memset(block, 1, malloc_usable_size(block));
            void *other = hide(aligned_alloc(align, bytes));
            NEED(other && other != block && is_aligned(other, align));
            int status = posix_memalign(&out, align, bytes);
            NEED(align < sizeof(void *) ? status == EINVAL && !out : status == 0 && is_aligned(out, align));
            block = hide(realloc(block, bytes * 2 + 1));
            NEED(block && is_aligned(block, 16));
            free(block);
            free(out);
            free(other);
        }
    }
    void *out = (void *)42;
    NEED(posix_memalign(&out, 0, 8) == EINVAL && posix_memalign(&out, 24, 8) == EINVAL && out == (void *)42);
    errno = 0;
    NEED(hide(aligned_alloc(24, 8)) == NULL && errno == EINVAL);
    errno = 0;
    NEED(hide(aligned_alloc(0, 8)) == NULL && errno == EINVAL);
    errno = 0;
    NEED(hide(memalign(SIZE_MAX / 2 + 2, 8)) == NULL && errno == EINVAL);
    errno = 0;
    NEED(hide(memalign(SIZE_MAX / 2 + 1, 8)) == NULL && errno == ENOMEM);
    void *rounded = hide(memalign(48, 8));
    NEED(rounded && is_aligned(rounded, 64));
    free(rounded);
    size_t page = sysconf(_SC_PAGESIZE);
    void *paged = hide(valloc(10)), *whole = hide(pvalloc(page + 1)), *least = hide(pvalloc(0));
    NEED(is_aligned(paged, page) && is_aligned(whole, page) && is_aligned(least, page));
    NEED(malloc_usable_size(whole) >= 2 * page && malloc_usable_size(least) >= page);
    free(paged);
    free(whole);
    free(least);
}

static void free_leaves_errno_alone(void) {
    enum { COUNT = 20000 };
    static void *blocks[COUNT];
    for (size_t bytes = 8; bytes < 3 << 20; bytes = bytes * 2 + 8) {
        int count = (64 << 20) / bytes < COUNT ? (int)((64 << 20) / bytes) : COUNT;
        for (int i = 0; i < count; i++) NEED(blocks[i] = malloc(bytes));
        errno = 1234;
        for (int i = 0; i < count; i++) free(blocks[i]);
        NEED(errno == 1234);
    }
}

static void names_beyond_the_headers_do_as_their_fellows(void) {
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*aligned)(void *, size_t, size_t) = (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    void (*old)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
    void *(*inner)(size_t) = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "__libc_malloc");
    NEED(sized && aligned && old && inner);
    void *first = hide(malloc(40));
    sized(first, 40);
#ifndef HARDENED // There, nobody can tell which block comes next.
    NEED(hide(malloc(40)) == first);
#endif
    sized(NULL, 40);
    aligned(hide(aligned_alloc(64, 128)), 64, 128);
    old(hide(inner(100)));
    (void)malloc_trim(0);
}

int main(void) {
    every_size_is_aligned_usable_and_its_own();
    what_is_too_large_is_refused_with_enomem();
    calloc_gives_zeros_where_others_left_something();
    realloc_keeps_what_was_there();
    what_grows_in_turns_keeps_its_bytes();
    alignments_are_kept_and_wrong_ones_refused();
    free_leaves_errno_alone();
    names_beyond_the_headers_do_as_their_fellows();
    puts("ok");
}
