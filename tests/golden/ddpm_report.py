"""Schedules, noising, DDIM with guidance, a DDPM step (diffusers)."""

import jax.numpy as jnp
import numpy as np

from jmim.diffusion import guidance
from jmim.diffusion import respace
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets

SKIPPED = {}
SCHEDULES = {"squaredcos_cap_v2": "cosine"}  # others have the same names


def run(case):
  c, i = case.config, {k: jnp.asarray(v) for k, v in case.inputs.items()}
  name = SCHEDULES.get(c["beta_schedule"], c["beta_schedule"])
  start, end = c["beta_start"], c["beta_end"]
  process = schedule.make(name, c["T"], start=start, end=end)
  a, s = process.at(targets.expand(i["t"], i["x0"].ndim))
  spacing = c.get("timestep_spacing", "leading")
  visited = respace.visited(spacing, c["T"], c["steps"])
  return {
    "betas": np.float32(process.beta),
    "alphas_cumprod": np.float32(process.power),
    "xt": targets.noised(i["x0"], i["eps"], a, s),
    "ddim_timesteps": visited.astype(np.int32),
    "ddim_states": ddim(c, i, process.levels(visited)),
    "ddpm_step": ddpm(c, i, process),
  }


def recorded(cond, null, scale):
  """A network whose outputs were written down, call by call."""

  def denoise(x, level):
    eps = guidance.combine(cond[level.index], null[level.index], scale)
    return targets.output(
      "eps", eps, x=x, a=level.signal, s=level.noise, scales=level.scales
    )

  return denoise


def ddim(c, i, levels):
  denoise = recorded(i["eps_cond"], i["eps_uncond"], c["guidance"])
  _, path = sampler.sample(
    solvers.ddim(levels, c["eta"]),
    denoise,
    x=i["x"],
    noise=i["noise"],
    callback=sampler.trajectory,
  )
  return path["x"]


def ddpm(c, i, process):
  """One step from the time given to the one before it, unguided."""
  kind = c["variance"].split("_")[1]  # fixed_small, also fixed_small_log
  first = len(process) - 1 - c["ddpm_step_t"]
  levels = process.levels().part(first, first + 1)
  denoise = recorded(i["eps_cond"], i["eps_cond"], 1.0)
  x, _ = sampler.sample(
    solvers.ddpm(levels, kind), denoise, i["x"], i["ddpm_noise"][None]
  )
  return x
