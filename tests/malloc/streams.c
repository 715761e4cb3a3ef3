// fork while threads read lines, for which the C library allocates under the stream's lock, and flush all
// streams, which takes those locks under the lock of all.
#include "need.h"
#include <pthread.h>
#include <sys/wait.h>

enum { FORKING = 2, READING = 4, FORKS = 6, LINE = 50000 };
static volatile int over;
static char path[] = "/tmp/highwater-streams-XXXXXX";

static void *forks(void *argument) {
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            // The child uses streams, and what they allocate, as its parent does.
            FILE *own = fopen(path, "r");
            char *line = NULL;
            size_t room = 0;
            int good = own && getline(&line, &room, own) == LINE + 1 && fclose(own) == 0 && fflush(NULL) == 0;
            free(line);
            _exit(!good);
        }
        int status;
        NEED(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    return argument;
}

static void *reads(void *argument) {
    FILE *file = fopen(path, "r");
    NEED(file);
    while (!over) {
        char *line = NULL;
        size_t room = 0;
        rewind(file);
        NEED(getline(&line, &room, file) == LINE + 1);
        free(line);
    }
    NEED(fclose(file) == 0);
    return argument;
}

static void *flushes(void *argument) {
    // It rests a little, without the lock: who forks wants it too, and it is not a fair one.
    while (!over) NEED(fflush(NULL) == 0 && usleep(50) == 0);
    return argument;
}

int main(void) {
    // Before there is a second thread: the child is to find the lock free there too.
    int file = mkstemp(path);
    NEED(file >= 0);
    char *line = malloc(LINE + 1);
    memset(line, 'x', LINE);
    line[LINE] = '\n';
    NEED(write(file, line, LINE + 1) == LINE + 1 && close(file) == 0);
    free(line);
    forks(NULL);
    pthread_t forking[FORKING], reading[READING], flushing;
    for (int i = 0; i < READING; i++) NEED(pthread_create(&reading[i], NULL, reads, NULL) == 0);
    NEED(pthread_create(&flushing, NULL, flushes, NULL) == 0);
    for (int i = 0; i < FORKING; i++) NEED(pthread_create(&forking[i], NULL, forks, NULL) == 0);
    for (int i = 0; i < FORKING; i++) NEED(pthread_join(forking[i], NULL) == 0);
    over = 1;
    for (int i = 0; i < READING; i++) NEED(pthread_join(reading[i], NULL) == 0);
    NEED(pthread_join(flushing, NULL) == 0);
    NEED(unlink(path) == 0);
    puts("ok");
    return 0;
}
