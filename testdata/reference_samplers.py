"""Noise schedules and samplers in float64, written from the formulas of their papers.

make-goldens.py makes test data with these; nothing else in the project needs them.
"""
import math

import torch


def make_alpha_bar(schedule, timesteps):
    """Cumulative products and betas (float64) of "linear [A B]" or "cosine"."""
    name, *numbers = schedule.split()
    t = torch.arange(timesteps + 1, dtype=torch.float64)
    if name == "linear":
        first, last = map(float, numbers or ("1e-4", "2e-2"))
        beta = torch.linspace(first ** 0.5, last ** 0.5, timesteps, dtype=torch.float64) ** 2
    else:
        f = torch.cos((t / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2
        beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - beta, dim=0), beta


def posterior(alpha_bar, beta):
    """Mean coefficients of x0 and x_t, and the variance, of q(x_{t-1} | x_t, x0)."""
    before = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar[:-1]])
    return (beta * before.sqrt() / (1 - alpha_bar),
            (1 - before) * (1 - beta).sqrt() / (1 - alpha_bar),
            beta * (1 - before) / (1 - alpha_bar))


def ddim_tables(alpha_bar, steps):
    """Timesteps ascending, alpha_bar there, and alpha_bar of the step that follows each."""
    timesteps = torch.arange(steps) * (len(alpha_bar) // steps) + 1
    a = alpha_bar[timesteps]
    return timesteps, a, torch.cat([alpha_bar[:1], a[:-1]])


class Sampler:
    """network(x, t) predicts what parameterization says; noise(t) are the normals of a step. x is
    as the network sees it; samples are that over latent_scale."""

    def __init__(self, alpha_bar, network, noise=None, parameterization="eps", clip=math.inf,
                 latent_scale=1.0):
        self.alpha_bar, self.network, self.noise = alpha_bar, network, noise
        self.parameterization, self.clip = parameterization, clip
        self.latent_scale = latent_scale
        self.straight = alpha_bar is None

    def path(self, t, timesteps):
        """alpha, sigma of x_t = alpha*x0 + sigma*eps; t = -1 is clean data."""
        if t < 0:
            return 1.0, 0.0
        if self.straight:
            return 1 - (t + 1) / timesteps, (t + 1) / timesteps
        a = self.alpha_bar[t].item()
        return math.sqrt(a), math.sqrt(1 - a)

    def predict(self, x, t, timesteps):
        alpha, sigma = self.path(t, timesteps)
        out = self.network(x, t)
        if self.parameterization == "eps":
            x0, eps = (x - sigma * out) / alpha, out
        elif self.parameterization == "v":  # v = alpha*eps - sigma*x0
            scale = alpha ** 2 + sigma ** 2
            x0, eps = (alpha * x - sigma * out) / scale, (sigma * x + alpha * out) / scale
        else:  # flow = eps - x0
            x0 = (x - sigma * out) / (alpha + sigma)
            eps = x0 + out
        return x0.clamp(-self.clip, self.clip), eps

    def noise_to(self, z, noise, t, timesteps):
        alpha, sigma = self.path(t, timesteps)
        return alpha * z * self.latent_scale + sigma * noise

    def list_timesteps(self, kind, steps, timesteps, start=0):
        """Pairs of a timestep and the one that follows it, in the order of running."""
        if kind == "ddim":
            t_list, last = [1 + i * (timesteps // steps) for i in range(steps)], 0
        elif kind == "ddpm":
            t_list, last = list(range(timesteps)), -1
        else:
            t_list = [math.floor((timesteps - 1) * (i + 1) / steps + 0.5) for i in range(steps)]
            last = -1
        pairs = reversed(list(zip(t_list, [last] + t_list[:-1])))
        return [pair for pair in pairs if not start or pair[0] <= start]

    def ddim(self, x, steps, timesteps, eta=0.0, start=0):
        for t, before in self.list_timesteps("ddim", steps, timesteps, start):
            x0, eps = self.predict(x, t, timesteps)
            alpha, sigma = self.path(t, timesteps)
            alpha_b, sigma_b = self.path(before, timesteps)
            s = eta * sigma_b / sigma * math.sqrt(sigma ** 2 - (alpha / alpha_b * sigma_b) ** 2)
            x = alpha_b * x0 + math.sqrt(sigma_b ** 2 - s ** 2) * eps
            if s > 0:
                x = x + s * self.noise(t)
        return x / self.latent_scale

    def ddpm(self, x, timesteps, start=0):
        for t, before in self.list_timesteps("ddpm", timesteps, timesteps, start):
            x0, _ = self.predict(x, t, timesteps)
            alpha, sigma = self.path(t, timesteps)
            alpha_b, sigma_b = self.path(before, timesteps)
            step = alpha / alpha_b
            added = sigma ** 2 - step ** 2 * sigma_b ** 2
            x = step * sigma_b ** 2 / sigma ** 2 * x + alpha_b * added / sigma ** 2 * x0
            if t > 0:
                x = x + math.sqrt(added) * sigma_b / sigma * self.noise(t)
        return x / self.latent_scale

    def dpm(self, x, steps, timesteps, start=0):
        """DPM-Solver++(2M): first and last step of first order."""
        old = h_old = None
        for t, before in self.list_timesteps("dpm", steps, timesteps, start):
            x0, _ = self.predict(x, t, timesteps)
            alpha, sigma = self.path(t, timesteps)
            alpha_b, sigma_b = self.path(before, timesteps)
            if before < 0:
                x = x0
                break
            if alpha == 0:
                x, h = sigma_b / sigma * x + alpha_b * x0, math.inf
            else:
                h = math.log(alpha_b / sigma_b) - math.log(alpha / sigma)
                d = x0
                if old is not None and h_old < math.inf:
                    r = h_old / h
                    d = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * old
                x = sigma_b / sigma * x - alpha_b * math.expm1(-h) * d
            old, h_old = x0, h
        return x / self.latent_scale
