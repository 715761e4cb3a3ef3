// fork alone and while other threads allocate, with handlers that allocate; vfork and exec; posix_spawn.
#include "need.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

enum { WORKERS = 3, FORKS = 60 };
static volatile int over;
static void *from_prepare;

static void prepare(void) { from_prepare = hide(malloc(3000)); }
static void after(void) {
    free(from_prepare);
    for (int i = 0; i < 50; i++) free(hide(malloc(i * 500)));
}

static void *works(void *argument) {
    uint64_t state = (uintptr_t)argument + 1;
    unsigned char *held[256] = {0};
    while (!over) {
        uint64_t random = next_random(&state);
        free(held[random & 255]);
        NEED(held[random & 255] = malloc(1 + (random >> 48)));
        held[random & 255][0] = 1;
    }
    for (int i = 0; i < 256; i++) free(held[i]);
    return NULL;
}

static void child_uses_everything(void *of_parent) {
    free(of_parent);
    void *blocks[500];
    for (int i = 0; i < 500; i++) NEED(blocks[i] = malloc(i * 300));
    for (int i = 0; i < 500; i++) free(blocks[i]);
    pthread_t thread;
    int again = 1;
    over = 0;
    NEED(pthread_create(&thread, NULL, works, (void *)9) == 0);
    NEED(usleep(1000) == 0);
    over = again;
    NEED(pthread_join(thread, NULL) == 0);
    (void)malloc_trim(0);
}

static void ends_well(pid_t child) {
    int status;
    NEED(child > 0 && waitpid(child, &status, 0) == child);
    NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// A child with threads of its own, whose children in turn are alone and have some.
static void forks(void) {
    void *block = hide(malloc(1000));
    pid_t child = fork();
    if (child == 0) {
        pid_t alone = fork();
        if (alone == 0) _exit(hide(malloc(100)) == NULL);
        ends_well(alone);
        child_uses_everything(block);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            child_uses_everything(hide(malloc(2000)));
            pid_t last = fork();
            if (last == 0) _exit(hide(malloc(100)) == NULL);
            ends_well(last);
            _exit(0);
        }
        ends_well(grandchild);
        _exit(0);
    }
    free(block);
    ends_well(child);
}

extern char **environ;

int main(void) {
    // More than the C library has room for at first: it allocates for the rest.
    for (int i = 0; i < 60; i++) NEED(pthread_atfork(i ? NULL : prepare, i ? NULL : after, i ? NULL : after) == 0);
    for (int i = 0; i < 10; i++) forks();
    pthread_t workers[WORKERS];
    for (uintptr_t i = 0; i < WORKERS; i++) NEED(pthread_create(&workers[i], NULL, works, (void *)i) == 0);
    for (int i = 0; i < FORKS; i++) {
        void *block = malloc(i * 1000);
        pid_t child = fork();
        if (child == 0) {
            child_uses_everything(block);
            if (i % 10 == 0) {
                pid_t grandchild = fork();
                if (grandchild == 0) _exit(hide(malloc(100)) == NULL);
                ends_well(grandchild);
            }
            _exit(0);
        }
        free(block);
        ends_well(child);
    }
    for (int i = 0; i < 20; i++) {
        pid_t child = vfork();
        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        ends_well(child);
        char *arguments[] = {"true", NULL};
        NEED(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) == 0);
        ends_well(child);
        NEED(system("exit 0") == 0);
    }
    over = 1;
    for (int i = 0; i < WORKERS; i++) NEED(pthread_join(workers[i], NULL) == 0);
    for (int i = 0; i < 10; i++) forks();
    puts("ok");
}
