/* Fresh weights: every tensor that a network asks for. */
#ifndef OCTPIPE_MODELS_FRESH_H
#define OCTPIPE_MODELS_FRESH_H

#include "lib/models/weights.h"

enum fresh_part {
    FRESH_AUTOENCODER2D, /* encoder, decoder, their quantizer and 1×1 convolutions */
    FRESH_NHAE,          /* that, and encoder3D, quantize3D, SR3D */
    FRESH_LDM3D,         /* global diffusion */
    FRESH_REFINER,       /* slice refiner */
    FRESH_MULTISLICE,    /* decoder with 3-D adaptors, and its quantizer */
    FRESH_DISCRIMINATOR, /* PatchGAN, for training auto-encoders */
    FRESH_INCEPTION,     /* Inception-v3, whose features measures read */
};
extern const char *const fresh_parts[]; /* names in that order, NULL at the end */

enum { FRESH_LEVELS = 8 };

/* 0 or an empty list: the paper's size for the part. */
struct fresh_settings {
    enum fresh_part part;
    int64_t width;   /* channels of the first level; NHAE: of the 3-D encoder */
    int64_t width2d; /* NHAE: channels of the 2-D auto-encoder's first level */
    int mults;
    int64_t mult[FRESH_LEVELS];      /* each level's multiple of the width */
    int64_t blocks;                  /* residual blocks a level */
    int attentions;                  /* −1: the paper's */
    int64_t attention[FRESH_LEVELS]; /* U-Nets: downsampling factors with attention */
    int64_t heads, groups, codes;
    int64_t levels; /* NHAE: halvings of the 3-D encoder */
    uint64_t seed;
};

/* Fill in the paper's sizes where settings leave them open, and list the tensors. */
int fresh_declare(struct weights **weights, struct fresh_settings *settings, struct error *error);

/* Write the listed tensors to a safetensors file. Those that the file `from` (NULL: none) holds
 * under the same names are taken from there and must have the same shapes: a trained part of what
 * is made. The others are fresh: convolutions and linear layers uniform within ±1/√fan_in, biases
 * too; norms 1 and 0; codebooks standard normal; mix factors −2, so that an adaptor starts at α =
 * 0.12. The latent super-resolution of NHAE starts as a linear stretch along D of its normalized
 * input, with residual branches of 0, between 1×1 convolutions that change nothing: its four
 * channels would lose most of what passes through random kernels. Each tensor's numbers depend on
 * the seed and its name alone. The metadata's history is that of `from` and the command. */
int fresh_write(const struct weights *weights, uint64_t seed, const char *from, const char *command,
                const char *path, struct error *error);

#endif
