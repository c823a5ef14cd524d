#include "lib/checkpoint/checkpoint.h"
#include "lib/checkpoint/rebuild.h"

#include <stdlib.h>
#include <string.h>

/* Modules, their submodules included, that no checkpoint has a good reason to name. */
static const char *const refused_modules[] = {
    "os",     "posix",      "nt",     "subprocess", "_posixsubprocess", "commands",
    "sys",    "pty",        "runpy",  "importlib",  "shutil",           "socket",
    "ctypes", "webbrowser", "pickle", "_pickle",    "marshal"};

/* Of builtins, which is __builtin__ in Python 2. */
static const char *const refused_builtins[] = {"eval",    "exec", "execfile",
                                               "compile", "open", "__import__"};

static bool is_in_module(const struct pickle_value *module, const char *name)
{
    size_t length = strlen(name);
    return module->count >= (int64_t)length && !memcmp(module->text, name, length) &&
           (module->count == (int64_t)length || module->text[length] == '.');
}

static bool is_refused(const struct pickle_value *global)
{
    const struct pickle_value *module = global->item[0], *name = global->item[1];
    for (size_t i = 0; i < sizeof refused_modules / sizeof *refused_modules; i++)
        if (is_in_module(module, refused_modules[i]))
            return true;
    if (!pickle_is_text(module, "builtins") && !pickle_is_text(module, "__builtin__"))
        return false;
    for (size_t i = 0; i < sizeof refused_builtins / sizeof *refused_builtins; i++)
        if (pickle_is_text(name, refused_builtins[i]))
            return true;
    return false;
}

static int check_globals(const struct pickle *pickle, struct error *error)
{
    char text[128];
    for (int64_t i = 0; i < pickle->globals; i++)
        if (is_refused(pickle->global[i]))
            return error_set(error, "it names %s: loading it would run code; refused",
                             pickle_describe(pickle->global[i], text, sizeof text));
    return 0;
}

static char *copy_name(const struct pickle_value *text, struct error *error)
{
    char *name = NULL;
    if (text->kind != PICKLE_TEXT)
        error_set(error, "a name in the state dict is not a text");
    else if (memchr(text->text, 0, (size_t)text->count))
        error_set(error, "a name in the state dict is not plain text");
    else if (!(name = strndup(text->text, (size_t)text->count)))
        error_set(error, "out of memory");
    return name;
}

static int compare(const void *a, const void *b)
{
    const struct checkpoint_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int list_tensors(struct checkpoint *c, const struct pickle_value *dict, struct error *error)
{
    const struct pickle_value *const *item;
    int64_t pairs = pickle_pairs(dict, &item);
    c->tensor = calloc((size_t)pairs + 1, sizeof *c->tensor);
    if (!c->tensor)
        return error_set(error, "out of memory");
    for (int64_t i = 0; i < pairs; i++) {
        struct checkpoint_tensor *t = &c->tensor[c->count];
        int found = rebuild_tensor(item[2 * i + 1], t, error);
        if (found == 0)
            continue;
        t->name = copy_name(item[2 * i], found < 0 ? NULL : error);
        c->count += t->name != NULL;
        if (found < 0)
            return error_prefix(error, "%.200s", t->name ? t->name : "state dict");
        if (!t->name)
            return -1;
    }
    if (!c->count)
        return error_set(error, "its state dict holds no tensors");
    qsort(c->tensor, (size_t)c->count, sizeof *c->tensor, compare);
    for (int64_t i = 1; i < c->count; i++)
        if (!compare(&c->tensor[i - 1], &c->tensor[i]))
            return error_set(error, "%.200s appears twice", c->tensor[i].name);
    return 0;
}

static int read_dict(struct checkpoint *c, struct error *error)
{
    char text[128];
    const struct pickle_value *const *item;
    const struct pickle_value *root = container_root(c->container);
    const struct pickle_value *dict = pickle_find(root, "state_dict");
    if (!dict)
        dict = root;
    if (pickle_pairs(dict, &item) < 0)
        return error_set(error, "it holds %s, not a state dict",
                         pickle_describe(dict, text, sizeof text));
    return list_tensors(c, dict, error);
}

int checkpoint_open(struct checkpoint *c, const char *path, struct error *error)
{
    *c = (struct checkpoint){.path = strdup(path)};
    if (!c->path)
        error_set(error, "out of memory");
    else if (!container_open(&c->container, path, error) &&
             !check_globals(container_pickle(c->container), error) && !read_dict(c, error))
        return 0;
    checkpoint_close(c);
    return error_prefix(error, "%s", path);
}

void checkpoint_close(struct checkpoint *c)
{
    for (int64_t i = 0; i < c->count; i++)
        free(c->tensor[i].name);
    free(c->tensor);
    free(c->cached);
    free(c->path);
    container_close(c->container);
    *c = (struct checkpoint){0};
}

const struct checkpoint_tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
    struct checkpoint_tensor wanted = {.name = (char *)(uintptr_t)name};
    return bsearch(&wanted, c->tensor, (size_t)c->count, sizeof wanted, compare);
}

const char *checkpoint_foreign(const struct checkpoint *c, int64_t *index, char *text, int size)
{
    const struct pickle *pickle = container_pickle(c->container);
    while (*index < pickle->globals) {
        const struct pickle_value *global = pickle->global[(*index)++];
        if (!rebuild_knows(global))
            return pickle_describe(global, text, size);
    }
    return NULL;
}
