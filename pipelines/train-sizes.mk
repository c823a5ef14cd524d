# The sizes that train.mk knows. Of each:
#
#   SHAPE, FILES, EYES   extents of a phantom, files of phantoms, phantoms in a file
#   PHANTOM              more options of phantom
#   HELD                 volumes that are held out, the last ones
#   PAIRS                files of which the refiner's pairs of latents are made; else all
#   PRECISION            of training and of the latents, unless FLAGS has another; else auto
#   ADVERSARIAL          no: without discriminator, which spoils layers before it brings texture
#   TYPE                 type of the weights that are handed out
#   SAMPLE               options of both samplers for the volume that is made at the end
#   INIT_..._PART        a network's sizes: options of init-weights
#   TRAIN_..._PART       options of its training program; a network sees --steps times --batch times
#                        --accumulate samples
#
# What is left out is the paper's. It does not tell numbers of steps; those of small and full are
# guesses. Narrow networks get fewer groups than 32: a group of one channel would lose its mean.

# tiny: seconds; for trying the rules.
SHAPE_tiny := 16,32,32
FILES_tiny := 2
EYES_tiny := 2
HELD_tiny := 1
TYPE_tiny := f16
SAMPLE_tiny := --steps 4
INIT_tiny_2d := --mult 1,1,1,1 --blocks 1 --groups 4 --codes 64
INIT_tiny_autoencoder2d := --width 8 $(INIT_tiny_2d)
INIT_tiny_nhae := --width 8 --width2d 8 $(INIT_tiny_2d)
INIT_tiny_ldm3d := --width 8 --mult 1,2 --blocks 1 --attention 2 --heads 2 --groups 4
INIT_tiny_refiner := $(INIT_tiny_ldm3d)
INIT_tiny_multislice := $(INIT_tiny_autoencoder2d)
INIT_tiny_discriminator := --width 8
TRAIN_tiny_autoencoder2d := --steps 8 --batch 2 --accumulate 1 --adversarial-start 4
TRAIN_tiny_nhae := --steps 4 --accumulate 1
TRAIN_tiny_ldm3d := --steps 4 --accumulate 1 --ema 0.9
TRAIN_tiny_refiner := --steps 4 --accumulate 1 --ema 0.9
TRAIN_tiny_multislice := --steps 4 --accumulate 1

# demo: the weights in testdata/demo.
SHAPE_demo := 128,128,128
PHANTOM_demo := --depth 1.4
FILES_demo := 32
EYES_demo := 32
HELD_demo := 8
PAIRS_demo := 8
PRECISION_demo := bf16
TYPE_demo := f16
SAMPLE_demo := --steps 100
INIT_demo_2d := --mult 1,2,2,2 --blocks 1 --groups 8
INIT_demo_autoencoder2d := --width 32 $(INIT_demo_2d)
INIT_demo_nhae := --width 32 --width2d 32 $(INIT_demo_2d)
INIT_demo_ldm3d := --width 32 --mult 1,2,2 --attention 2,4 --groups 8
INIT_demo_refiner := --width 32 --mult 1,2,4 --attention 2,4 --groups 8
INIT_demo_multislice := $(INIT_demo_autoencoder2d)
ADVERSARIAL_demo := no
TRAIN_demo_autoencoder2d := --steps 1500 --batch 8 --accumulate 1 --warm-up 100 --ema 0.995 \
    --code-warm-up 1000
TRAIN_demo_nhae := --steps 2500 --accumulate 1 --warm-up 100 --ema 0.995 --code-warm-up 1000
TRAIN_demo_ldm3d := --steps 10000 --batch 4 --accumulate 1 --predict v --loss l2 \
    --learning-rate 3e-4 --warm-up 500 --ema 0.999
TRAIN_demo_refiner := --steps 8000 --batch 32 --accumulate 1 --predict v --loss l2 \
    --learning-rate 3e-4 --warm-up 500 --ema 0.999
TRAIN_demo_multislice := --steps 800 --accumulate 1 --warm-up 100 --ema 0.995

# small: half the paper's extents and widths.
SHAPE_small := 256,256,256
FILES_small := 50
EYES_small := 8
HELD_small := 16
TYPE_small := f32
SAMPLE_small := --steps 200
INIT_small_2d := --groups 16
INIT_small_autoencoder2d := --width 64 $(INIT_small_2d)
INIT_small_nhae := --width 32 --width2d 64 $(INIT_small_2d)
INIT_small_ldm3d := --width 64 --mult 1,2,4 --attention 2,4 --groups 16
INIT_small_refiner := --width 96 --mult 1,2,4 --attention 2,4
INIT_small_multislice := $(INIT_small_autoencoder2d)
TRAIN_small_autoencoder2d := --steps 20000 --adversarial-start 10000
TRAIN_small_nhae := --steps 10000 --crop 128,128,128
TRAIN_small_ldm3d := --steps 50000 --learning-rate 1e-4 --warm-up 1000 --ema 0.9995
TRAIN_small_refiner := --steps 50000 --warm-up 1000 --ema 0.9995
TRAIN_small_multislice := --steps 10000 --crop 128,128

# full: the paper's extents, widths and 203 + 97 volumes.
SHAPE_full := 512,512,512
FILES_full := 300
EYES_full := 1
HELD_full := 97
TYPE_full := f32
SAMPLE_full := --steps 200
TRAIN_full_autoencoder2d := --steps 200000 --adversarial-start 100000
TRAIN_full_nhae := --steps 50000 --crop 256,256,256
TRAIN_full_ldm3d := --steps 200000
TRAIN_full_refiner := --steps 200000 --ema 0.9999
TRAIN_full_multislice := --steps 50000 --crop 256,256
