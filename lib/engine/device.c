#include "lib/engine/device.h"

#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the program's; the last is build/bench's. */
static const char *const folders[] = {"", "/../lib/octpipe", "/../bin", NULL};

/* The shared object, NULL where there is none that loads. Without a driver its libraries, which
 * take memory and time, are not even loaded. */
static void *load(struct error *error)
{
    if (!dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL)) {
        error_set(error, "there is no driver: %s", dlerror());
        return NULL;
    }
    char program[PATH_MAX], path[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    const char *folder = dirname(program);
    for (int i = 0; folders[i]; i++) {
        snprintf(path, sizeof path, "%s%s/octpipe-cuda.so", folder, folders[i]);
        if (access(path, F_OK) != 0)
            continue;
        void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!object)
            error_set(error, "%s", dlerror());
        return object;
    }
    error_set(error, "this build has no CUDA backend");
    return NULL;
}

static const struct backend *open_cuda(int number, struct error *error)
{
    void *object = load(error);
    if (!object)
        return NULL;
    const char *why = "its octpipe-cuda.so is not a backend";
    const struct backend *backend = NULL;
    backend_open *open;
    *(void **)&open = dlsym(object, BACKEND_OPEN);
    if (open)
        backend = open(BACKEND_INTERFACE, number, &why);
    if (!backend)
        error_set(error, "%s", why);
    return backend;
}

/* N of "cuda:N", 0 of "cuda"; −1: neither. */
static int cuda_number(const char *name)
{
    const size_t length = strlen("cuda");
    if (strncmp(name, "cuda", length) != 0)
        return -1;
    const char *number = name + length + 1;
    if (!name[length])
        return 0;
    if (name[length] != ':' || !*number || number[strspn(number, "0123456789")])
        return -1;
    errno = 0;
    long n = strtol(number, NULL, 10);
    return errno || n > INT_MAX ? INT_MAX : (int)n;
}

const struct backend *device_open(const char *name, struct error *error)
{
    struct error why;
    /* auto is never cuda, since that backend has not run on a device yet. */
    if (!strcmp(name, "cpu") || !strcmp(name, "auto"))
        return backend_cpu();
    int number = cuda_number(name);
    if (number < 0) {
        error_set(error, "--device %s: unknown; devices are auto, cpu, cuda and cuda:N", name);
        return NULL;
    }
    const struct backend *backend = open_cuda(number, &why);
    if (!backend)
        error_set(error, "no CUDA device: %s", why.text);
    return backend;
}
