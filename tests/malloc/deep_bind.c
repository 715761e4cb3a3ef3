// A library loaded with RTLD_DEEPBIND frees what the C library allocated for it, and gives the program what it allocated.
// Three programs in one: the library (PLUGIN), a library that loads it by a name which only its own run path knows
// (HOST), and the program, which loads the host.
#include "need.h"
#include <dlfcn.h>

#if defined PLUGIN
char *copy(const char *text) { return hide(strdup(text)); }
void drop(char *text) { free(text); }
char *line(void) {
    char *text = NULL;
    size_t room = 0;
    FILE *stream = fmemopen("one\ntwo\n", 8, "r");
    NEED(stream && getline(&text, &room, stream) == 4);
    fclose(stream);
    return text;
}
#elif defined HOST
void *load(void) { return dlopen("libplugin.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND); }
#else
static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    NEED(found);
    return found;
}

int main(int count, char **arguments) {
    NEED(count == 2);
    NEED(!dlopen("libplugin.so", RTLD_NOW | RTLD_DEEPBIND) && strstr(dlerror(), "libplugin.so"));
    void *host = dlopen(arguments[1], RTLD_NOW | RTLD_DEEPBIND);
    if (!host) dprintf(2, "%s\n", dlerror());
    NEED(host);
    void *plugin = ((void *(*)(void))symbol(host, "load"))();
    if (!plugin) dprintf(2, "%s\n", dlerror());
    NEED(plugin);
    char *(*copy)(const char *) = (char *(*)(const char *))symbol(plugin, "copy");
    void (*drop)(char *) = (void (*)(char *))symbol(plugin, "drop");
    char *(*line)(void) = (char *(*)(void))symbol(plugin, "line");
    for (int i = 0; i < 2000; i++) {
        char *mine = strdup("of the program"), *its = copy("of the library"), *read = line();
        NEED(!strcmp(its, "of the library") && !strcmp(read, "one\n"));
        drop(i % 2 ? mine : its);
        free(i % 2 ? its : mine);
        drop(read);
    }
    puts("ok");
}
#endif
