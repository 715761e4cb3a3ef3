// Allocating before main, in exit handlers, after main; more handlers than the C library has room for.
#include "need.h"
#include <pthread.h>

static void *before_main;

__attribute__((constructor)) static void constructs(void) {
    NEED(before_main = malloc(5000));
    memset(before_main, 5, 5000);
}

__attribute__((destructor)) static void destructs(void) {
    free(before_main);
    NEED(hide(calloc(10, 1000)));
}

static void at_end(void) {
    void *block = hide(malloc(70000));
    NEED(block);
    free(block);
    NEED(hide(realloc(NULL, 10)));
}

int main(void) {
    NEED(((char *)before_main)[4999] == 5);
    for (int i = 0; i < 100; i++) NEED(atexit(at_end) == 0);
    for (int i = 0; i < 200; i++) setenv("HIGHWATER_TEST_LIFETIME", i % 2 ? "a" : "a longer one", 1);
    unsetenv("HIGHWATER_TEST_LIFETIME");
    puts("ok");
}
