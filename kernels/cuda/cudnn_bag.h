/* Descriptors of cuDNN's backend API that live and die together, and the first failure among calls
 * on them: after it the calls do nothing. */
#ifndef OCTPIPE_KERNELS_CUDA_CUDNN_BAG_H
#define OCTPIPE_KERNELS_CUDA_CUDNN_BAG_H

#include <cudnn.h>
#include <stdint.h>

enum { BAG_DESCRIPTORS = 128 };

struct bag {
    cudnnBackendDescriptor_t item[BAG_DESCRIPTORS];
    int count;
    cudnnStatus_t status;
};

/* A new descriptor in the bag; NULL after a failure. */
cudnnBackendDescriptor_t bag_new(struct bag *bag, cudnnBackendDescriptorType_t type);

/* Destroy what is in the bag. */
void bag_empty(struct bag *bag);

void bag_set(struct bag *bag, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t count, const void *values);
void bag_set_integers(struct bag *bag, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                      int64_t count, const int64_t *values);
void bag_set_descriptor(struct bag *bag, cudnnBackendDescriptor_t d,
                        cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value);
void bag_finalize(struct bag *bag, cudnnBackendDescriptor_t d);

/* Read up to `room` values; returns how many there are. */
int64_t bag_get(struct bag *bag, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t room, void *values);

#endif
