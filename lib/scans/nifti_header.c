#include "lib/scans/nifti.h"

#include <math.h>
#include <nifti/nifti2_io.h>
#include <string.h>

static int find_dtype(int type, enum dtype *dtype, struct error *error)
{
    static const struct {
        int type;
        enum dtype dtype;
    } known[] = {
        {NIFTI_TYPE_UINT8, DTYPE_U8},    {NIFTI_TYPE_INT8, DTYPE_I8},
        {NIFTI_TYPE_UINT16, DTYPE_U16},  {NIFTI_TYPE_INT16, DTYPE_I16},
        {NIFTI_TYPE_UINT32, DTYPE_U32},  {NIFTI_TYPE_INT32, DTYPE_I32},
        {NIFTI_TYPE_UINT64, DTYPE_U64},  {NIFTI_TYPE_INT64, DTYPE_I64},
        {NIFTI_TYPE_FLOAT32, DTYPE_F32}, {NIFTI_TYPE_FLOAT64, DTYPE_F64},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].type == type) {
            *dtype = known[i].dtype;
            return 0;
        }
    return error_set(error, "a NIfTI of type %d; integers and reals of 4 and 8 bytes are read",
                     type);
}

/* dim and pixdim of either version; data may be any number in a file. */
static int set_shape(struct nifti_header *header, const int64_t dim[8], const double pixdim[8],
                     double data, struct error *error)
{
    if (dim[0] < 1 || dim[0] > 7)
        return error_set(error, "a NIfTI of %lld axes, not 1 to 7", (long long)dim[0]);
    int64_t extent[8] = {0, 1, 1, 1, 1, 1, 1, 1};
    for (int64_t axis = 1; axis <= dim[0]; axis++) {
        extent[axis] = dim[axis];
        if (dim[axis] <= 0)
            return error_set(error, "a NIfTI of %lld elements along axis %lld",
                             (long long)dim[axis], (long long)axis);
        if (axis > 4 && dim[axis] != 1)
            return error_set(error, "a NIfTI with axes beyond x, y, z, t");
    }
    header->volumes = extent[4];
    for (int i = 0; i < 3; i++) {
        double spacing = i < 3 && 3 - i <= dim[0] ? fabs(pixdim[3 - i]) : 0;
        header->extent[i] = extent[3 - i];
        header->spacing[i] = isfinite(spacing) ? spacing : 0;
    }
    if (!(data >= 0 && data < 0x1p53))
        return error_set(error, "a NIfTI whose voxels start at %g", data);
    header->data = (int64_t)data;
    return 0;
}

static void set_units(struct nifti_header *header, int units)
{
    int length = units & 7;
    double millimetres = length == NIFTI_UNITS_METER    ? 1e3
                         : length == NIFTI_UNITS_MICRON ? 1e-3
                                                        : 1;
    for (int i = 0; i < 3; i++)
        header->spacing[i] *= millimetres;
}

static void set_scale(struct nifti_header *header, double slope, double offset)
{
    bool scaled = slope != 0 && isfinite(slope) && isfinite(offset);
    header->slope = scaled ? slope : 1;
    header->offset = scaled ? offset : 0;
}

static int parse_1(struct nifti_header *header, const nifti_1_header *raw, struct error *error)
{
    int64_t dim[8];
    double pixdim[8];
    for (int i = 0; i < 8; i++) {
        dim[i] = raw->dim[i];
        pixdim[i] = (double)raw->pixdim[i];
    }
    if (set_shape(header, dim, pixdim, (double)raw->vox_offset, error) < 0)
        return -1;
    set_units(header, raw->xyzt_units);
    set_scale(header, (double)raw->scl_slope, (double)raw->scl_inter);
    return find_dtype(raw->datatype, &header->dtype, error);
}

static int parse_2(struct nifti_header *header, const nifti_2_header *raw, struct error *error)
{
    int64_t dim[8];
    memcpy(dim, raw->dim, sizeof dim);
    if (set_shape(header, dim, raw->pixdim, (double)raw->vox_offset, error) < 0)
        return -1;
    set_units(header, raw->xyzt_units);
    set_scale(header, raw->scl_slope, raw->scl_inter);
    return find_dtype(raw->datatype, &header->dtype, error);
}

int nifti_parse(struct nifti_header *header, void *start, size_t bytes, struct error *error)
{
    int32_t size = 0;
    *header = (struct nifti_header){0};
    nifti_set_debug_level(0); /* it would write to stderr */
    memcpy(&size, start, bytes < sizeof size ? bytes : sizeof size);
    int version = bytes >= sizeof(nifti_1_header) ? nifti_header_version(start, bytes) : -1;
    if ((version != 1 && version != 2) || (version == 2 && bytes < sizeof(nifti_2_header)))
        return error_set(error, "no NIfTI, or cut off in its header");
    header->swapped =
        size != (int32_t)(version == 1 ? sizeof(nifti_1_header) : sizeof(nifti_2_header));
    if (header->swapped)
        swap_nifti_header(start, version);
    nifti_1_header first;
    nifti_2_header second;
    if (version == 1) {
        memcpy(&first, start, sizeof first);
        if (memcmp(first.magic, "n+1", sizeof first.magic) != 0)
            return error_set(error, "a pair of .hdr and .img; make it one .nii file");
        return parse_1(header, &first, error);
    }
    memcpy(&second, start, sizeof second);
    if (memcmp(second.magic, "n+2", 4) != 0)
        return error_set(error, "a pair of .hdr and .img; make it one .nii file");
    return parse_2(header, &second, error);
}
