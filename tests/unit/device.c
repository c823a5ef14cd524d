#include "tests/unit/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *test_cuda_object(void)
{
    char path[4096];
    const char *folder = getenv("BIN");
    snprintf(path, sizeof path, "%s/octpipe-cuda.so", folder ? folder : "bin");
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        print_message("# no CUDA backend: %s\n", dlerror());
    return object;
}

static const struct backend *open_cuda(void)
{
    void *object = test_cuda_object();
    const char *why = "its shared object does not load";
    const struct backend *backend = NULL;
    backend_open *open;
    *(void **)&open = object ? dlsym(object, BACKEND_OPEN) : NULL;
    if (open)
        backend = open(BACKEND_INTERFACE, 0, &why);
    if (!backend)
        fail_msg("DEVICE=cuda: %s", why);
    return backend;
}

const struct backend *test_backend(void)
{
    static const struct backend *backend;
    const char *device = getenv("DEVICE");
    if (!backend)
        backend = device && !strcmp(device, "cuda") ? open_cuda() : backend_cpu();
    return backend;
}

static void check(const char *why)
{
    if (why)
        fail_msg("%s", why);
}

void test_copy_in(void *to, const void *from, size_t bytes)
{
    const struct queue *queue = test_backend()->queue;
    if (queue)
        check(queue->copy(LANE_WORK, to, from, bytes));
    else
        memcpy(to, from, bytes);
}

void test_copy_out(void *to, const void *from, size_t bytes)
{
    const struct queue *queue = test_backend()->queue;
    if (!queue) {
        memcpy(to, from, bytes);
        return;
    }
    check(queue->copy(LANE_WORK, to, from, bytes));
    check(queue->wait());
}

bool test_backend_is_cpu(void)
{
    return test_backend() == backend_cpu();
}
