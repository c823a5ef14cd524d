#include "lib/checkpoint/rebuild.h"

#include <string.h>

/* How a call says what the tensor is. */
enum arguments {
    OF_STORAGE, /* storage, offset, shape, strides, … */
    OF_TENSOR,  /* a tensor, … */
    OF_TYPE,    /* a callee, the type to make, the callee's arguments, … */
};

static const struct {
    const char *module, *name;
    enum arguments arguments;
    int count; /* at least */
} rebuilds[] = {
    {"torch._utils", "_rebuild_tensor_v2", OF_STORAGE, 4},
    {"torch._utils", "_rebuild_tensor", OF_STORAGE, 4},
    {"torch._utils", "_rebuild_parameter", OF_TENSOR, 1},
    {"torch._utils", "_rebuild_parameter_with_state", OF_TENSOR, 1},
    {"torch._tensor", "_rebuild_from_type_v2", OF_TYPE, 3},
};

enum { REBUILDS = sizeof rebuilds / sizeof *rebuilds, WRAPPINGS = 4 };

static int find(const struct pickle_value *global)
{
    for (int i = 0; i < REBUILDS; i++)
        if (pickle_is_global(global, rebuilds[i].module, rebuilds[i].name))
            return i;
    return -1;
}

static bool is_plain_type(const struct pickle_value *global)
{
    return pickle_is_global(global, "torch", "Tensor") ||
           pickle_is_global(global, "torch.nn.parameter", "Parameter");
}

bool rebuild_knows(const struct pickle_value *global)
{
    const struct pickle_value *module = global->item[0], *name = global->item[1];
    bool storage = pickle_is_text(module, "torch") && name->count > 7 &&
                   !memcmp(name->text + name->count - 7, "Storage", 7);
    return storage || find(global) >= 0 || is_plain_type(global) ||
           pickle_is_global(global, "collections", "OrderedDict");
}

/* Extents or strides. */
static int read_numbers(const struct pickle_value *tuple, int64_t *number, struct error *error)
{
    if (tuple->kind != PICKLE_TUPLE)
        return error_set(error, "its shape or strides are no tuple");
    if (tuple->count > SAFETENSORS_RANK)
        return error_set(error, "more than %d axes", SAFETENSORS_RANK);
    for (int i = 0; i < tuple->count; i++) {
        if (tuple->item[i]->kind != PICKLE_INT || tuple->item[i]->integer < 0)
            return error_set(error, "an extent or stride is not a whole number from 0");
        number[i] = tuple->item[i]->integer;
    }
    return 0;
}

/* Every element must lie in the storage. */
static int check_extent(struct checkpoint_tensor *t, struct error *error)
{
    int64_t last = t->offset, step;
    bool overflow = false;
    t->count = 1;
    for (int i = 0; i < t->rank; i++)
        overflow |= __builtin_mul_overflow(t->count, t->shape[i], &t->count);
    if (overflow || t->count > t->storage.count)
        return error_set(error, "more elements than its storage's %lld",
                         (long long)t->storage.count);
    for (int i = 0; i < t->rank && t->count; i++)
        overflow |= __builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &step) ||
                    __builtin_add_overflow(last, step, &last);
    if (overflow || (t->count && last >= t->storage.count))
        return error_set(error, "it reaches beyond its storage of %lld elements",
                         (long long)t->storage.count);
    return 0;
}

static int from_storage(const struct pickle_value *arguments, struct checkpoint_tensor *t,
                        struct error *error)
{
    const struct pickle_value *const *argument = arguments->item;
    if (argument[0]->kind != PICKLE_PERSISTENT)
        return error_set(error, "it comes without a storage");
    if (argument[1]->kind != PICKLE_INT || argument[1]->integer < 0)
        return error_set(error, "its offset is not a whole number from 0");
    if (storage_read(&t->storage, argument[0], error) ||
        read_numbers(argument[2], t->shape, error) || read_numbers(argument[3], t->stride, error))
        return -1;
    if (argument[2]->count != argument[3]->count)
        return error_set(error, "it has %d extents and %d strides", argument[2]->count,
                         argument[3]->count);
    t->offset = argument[1]->integer;
    t->rank = argument[2]->count;
    return check_extent(t, error) ? -1 : 1;
}

static int refuse(const struct pickle_value *value, struct error *error)
{
    char text[128];
    return error_set(error, "it is built by %s, which is not read",
                     pickle_describe(value, text, sizeof text));
}

int rebuild_tensor(const struct pickle_value *value, struct checkpoint_tensor *tensor,
                   struct error *error)
{
    const struct pickle_value *const *item;
    if (value->kind < PICKLE_GLOBAL || pickle_pairs(value, &item) >= 0)
        return 0;
    if (value->kind != PICKLE_CALL)
        return refuse(value, error);
    const struct pickle_value *callee = value->item[0], *arguments = value->item[1];
    for (int wrapping = 0; wrapping < WRAPPINGS; wrapping++) {
        int i = find(callee);
        if (i < 0)
            return refuse(callee, error);
        if (value->state)
            return error_set(error, "it is given a state, which is not read");
        if (arguments->kind != PICKLE_TUPLE || arguments->count < rebuilds[i].count)
            return error_set(error, "%s comes with too few arguments", rebuilds[i].name);
        if (rebuilds[i].arguments == OF_STORAGE)
            return from_storage(arguments, tensor, error);
        if (rebuilds[i].arguments == OF_TYPE) {
            if (!is_plain_type(arguments->item[1]))
                return refuse(arguments->item[1], error);
            callee = arguments->item[0];
            arguments = arguments->item[2];
            continue;
        }
        value = arguments->item[0];
        if (value->kind != PICKLE_CALL)
            return refuse(value, error);
        callee = value->item[0];
        arguments = value->item[1];
    }
    return error_set(error, "it is wrapped more than %d times", WRAPPINGS);
}
