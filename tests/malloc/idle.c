// A program that allocates, then only frees, then idles: its memory goes back all the same. One that is small
// has no thread but its own.
#include "need.h"
#include <dirent.h>
#include <fcntl.h>

enum { BLOCKS = 400000, KEPT = 1000, PATIENCE_MS = 60000 };
static void *blocks[BLOCKS];

static size_t resident_bytes(void) {
    char text[100] = {0};
    size_t size, resident;
    int file = open("/proc/self/statm", O_RDONLY);
    NEED(file >= 0 && read(file, text, sizeof text - 1) > 0 && close(file) == 0);
    NEED(sscanf(text, "%zu %zu", &size, &resident) == 2);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static int threads(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    NEED(tasks);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

int main(int count, char **arguments) {
    NEED(count == 2);
    int sweeper = !strcmp(arguments[1], "sweeper");
    NEED(threads() == 1);
    size_t before = resident_bytes();
    for (int i = 0; i < BLOCKS; i++) NEED(memset(blocks[i] = malloc(100), 1, 100));
    size_t most = resident_bytes();
    NEED(most - before > 30 << 20);
    NEED(threads() == 1 + sweeper);
    for (int i = 0; i < BLOCKS; i++)
        if (i % KEPT) free(blocks[i]);
    if (!sweeper) {
        // Nobody gives back while this thread sleeps; when asked, all of it goes.
        NEED(malloc_trim(0) == 1);
    }
    for (int waited = 0; resident_bytes() - before > 8 << 20; waited++) {
        NEED(waited < PATIENCE_MS);
        usleep(1000);
    }
    for (int i = 0; i < BLOCKS; i += KEPT) NEED(*(char *)blocks[i] == 1);
    puts("ok");
}
