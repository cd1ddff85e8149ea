"""DifFace (zsyOAOA/DifFace): the loss, DDIM and ancestral restoration."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import _unet
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import contraction
from jmim.methods.restore import difface

SKIPPED = {}


def build(config):
  """The method; the betas of fewer steps are larger."""
  times, side = config["diffusion_steps"], config["image_size"]
  respacing = str(config["timestep_respacing"] or times)  # "", None: all
  blocks = config["num_res_blocks"]
  each = blocks if isinstance(blocks, list) else [blocks]
  return field.replace(
    difface.DifFace(),
    size=side,
    channels=config["in_channels"],
    dims=dict(
      width=config["model_channels"],
      multipliers=tuple(config["channel_mult"]),
      blocks=each[0],
      level_blocks=tuple(each) if len(each) > 1 else (),
      attend_at=tuple(side // s for s in config["attention_resolutions"]),
      heads=0,
      head_width=config["num_head_channels"],
      norm_groups=config["group_norm_groups"],
      norm_eps=config["group_norm_eps"],
      scale_shift=config["use_scale_shift_norm"],
      dropout=0.0,
    ),
    noise=dict(
      schedule=config.get("noise_schedule", "linear").split()[0],
      times=times,
      **golden_kit.spread(times),
      learn_variance=config["learn_sigma"],
      variance="learned" if config["learn_sigma"] else "large",
      spacing="stride" if respacing.startswith("ddim") else "even",
    ),
    sampling=dict(steps=int(respacing.removeprefix("ddim")), eta=config["eta"]),
    rescale=config.get("rescale_learned_sigmas", True),
    contraction=dict(start=config["start_timesteps"], gamma=config["gamma"]),
  )


def nchw(x):
  return einops.rearrange(np.asarray(x), "... h w c -> ... c h w")


def nhwc(x):
  return jnp.asarray(einops.rearrange(x, "... c h w -> ... h w c"))


def signed(x):
  """Images as what is diffused: from 0 .. 1, unless there are lower ones."""
  return nhwc(x) if np.min(x) < 0 else 2 * nhwc(x) - 1


def run(case):
  m, inputs = build(case.config), case.inputs
  batch = {"image": signed(inputs["estimate"])}  # what it is trained on here
  rules = _unet.network(m.net())
  weights = methods.Weights(
    golden_kit.import_main(m, rules, case.params, batch)
  )
  out = tables(m) | restored(m, weights, case)
  if "train_t" in inputs:
    out |= trained(m, weights, batch, inputs)
  return golden_kit.asked(case, out)


def trained(m, weights, batch, inputs):
  """Both terms of the loss, and their sum, per image."""
  draws = {
    "t": jnp.asarray(inputs["train_t"]),
    "noise": nhwc(inputs["train_noise"]),
  }
  terms = jax.jit(m.terms)(weights, batch, draws)
  found = {f"train_{name}": x for name, x in terms.items()}
  return found | {"train_loss": sum(terms.values())}


def tables(m):
  """What is left of the process."""
  kept = m.noise.table(m.sampling).level.time.astype(int)[::-1]
  process = m.noise.process.respaced(kept)
  return {
    "spaced_betas": process.beta,
    "spaced_alphas_cumprod": process.power,
    "timestep_map": kept,
  }


def restored(m, weights, case):
  """By DDIM, with known pixels if there is a mask, and ancestrally."""
  inputs = case.inputs
  z, start = signed(inputs["estimate"]), nhwc(inputs["start_noise"])
  known = None
  if "mask" in inputs:
    known = contraction.Known(signed(inputs["y0"]), nhwc(inputs["mask"]))

  def walk(weights, sampler, noise, known):
    moved = field.replace(m, sampling=dict(sampler=sampler))
    return m.contraction.walk(
      m.noise,
      moved.sampling,
      lambda x, t, told: m.network(weights.params, x, t),
      estimate=z,
      start=start,
      more=noise,
      known=known,
    )

  walk = jax.jit(walk, static_argnums=1)
  x, path = walk(weights, "ddim", nhwc(inputs["ddim_noise"]), known)
  a, s = m.contraction.level(m.noise, m.sampling)
  found = {
    "x_N": nchw(a * z + s * start),
    "ddim_trace": nchw(path["x"]),
    "restored": nchw(jnp.clip((x + 1) / 2, 0, 1)),
  }
  if "anc_noise" in inputs:
    # p_mean_variance, which both samplers call, has known pixels pull x0.
    drawn, _ = walk(weights, "ddpm", nhwc(inputs["anc_noise"]), known)
    found["ancestral"] = nchw(drawn)
  return found
