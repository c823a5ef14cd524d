#!/usr/bin/env python3
"""Make the golden of optimizer and averages in testdata/goldens (needs torch): five updates by
PyTorch in float64, stored as float32, the same file in every run."""
import importlib

import torch

goldens = importlib.import_module("make-goldens")

STEPS, RATE, BETAS, DECAY, CLIP, AVERAGE, SCALE = 5, 3e-3, (0.9, 0.95), 0.05, 1.0, 0.9999, 0.25

goldens.seed("adamw")
values = {"a": torch.randn(37), "b": torch.randn(3, 2, 5)}
parameters = {name: value.double().requires_grad_() for name, value in values.items()}
averages = {name: value.detach().clone() for name, value in parameters.items()}
optimizer = torch.optim.AdamW(parameters.values(), lr=RATE, betas=BETAS, weight_decay=DECAY)
tensors = {f"in.{name}": value for name, value in values.items()}
for step in range(STEPS):
    for name, parameter in parameters.items():
        # The first step's norm stays under the bound, those of the others do not.
        gradient = torch.randn(parameter.shape) * (0.1 if step == 0 else 4.0)
        tensors[f"in.gradient{step}.{name}"] = gradient
        parameter.grad = SCALE * gradient.double()
    norm = torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP)
    assert (norm < CLIP) == (step == 0)
    tensors[f"out.norm{step}"] = norm[None]
    optimizer.step()
    n = step + 1
    decay = min(AVERAGE, (1 + n) / (10 + n))
    for name, parameter in parameters.items():
        averages[name] += (1 - decay) * (parameter.detach() - averages[name])
for name, parameter in parameters.items():
    tensors |= {f"out.{name}": parameter.detach(), f"out.average.{name}": averages[name]}
goldens.save("adamw", tensors, rate=RATE, beta2=BETAS[1], decay=DECAY, clip=CLIP, average=AVERAGE,
             scale=SCALE, steps=STEPS)
