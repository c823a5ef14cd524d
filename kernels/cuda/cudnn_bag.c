#include "kernels/cuda/cudnn_bag.h"

typedef cudnnBackendDescriptor_t descriptor;

descriptor bag_new(struct bag *bag, cudnnBackendDescriptorType_t type)
{
    descriptor made = NULL;
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = bag->count < BAG_DESCRIPTORS ? cudnnBackendCreateDescriptor(type, &made)
                                                   : CUDNN_STATUS_INTERNAL_ERROR;
    if (made)
        bag->item[bag->count++] = made;
    return made;
}

void bag_empty(struct bag *bag)
{
    while (bag->count > 0)
        cudnnBackendDestroyDescriptor(bag->item[--bag->count]);
}

void bag_set(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = cudnnBackendSetAttribute(d, name, type, count, values);
}

void bag_set_integers(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
                      int64_t count, const int64_t *values)
{
    bag_set(bag, d, name, CUDNN_TYPE_INT64, count, values);
}

void bag_set_descriptor(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
                        descriptor value)
{
    bag_set(bag, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void bag_finalize(struct bag *bag, descriptor d)
{
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = cudnnBackendFinalize(d);
}

int64_t bag_get(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t room, void *values)
{
    int64_t count = 0;
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = cudnnBackendGetAttribute(d, name, type, room, &count, values);
    return count < room ? count : room;
}
