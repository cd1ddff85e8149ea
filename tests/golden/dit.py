"""DiT (facebookresearch/DiT): loss, gradients, DDPM and DDIM with guidance."""

import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import dit as convert
from jmim.core import method as methods
from jmim.diffusion import guidance
from jmim.diffusion import respace
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.diffusion import dit
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels
from jmim.nn import sizes

SKIPPED = {}
SCHEDULES = {"linear": "linear", "squaredcos_cap_v2": "cosine"}
VARIANCES = {
  "LEARNED_RANGE": "learned",
  "FIXED_LARGE": "large",
  "FIXED_SMALL": "small",
}


def method(config):
  times = config["diffusion_steps"]
  return dit.DiT(
    size=config["input_size"],
    channels=config["in_channels"],
    dims=sizes.Dims(
      variant=f"S/{config['patch_size']}",
      width=config["hidden_size"],
      depth=config["depth"],
      heads=config["num_heads"],
      mlp_ratio=config["mlp_ratio"],
    ),
    noise=gaussian.Gaussian(
      schedule=SCHEDULES[config["noise_schedule"]],
      times=times,
      # Their linear schedule ends in the same noise for any number of times.
      **golden_kit.spread(times),
      variance=VARIANCES[config["variance"]],
      learn_variance=config["learn_sigma"],
    ),
    labels=labels.Labels(
      classes=config["num_classes"], drop=config["class_dropout_prob"]
    ),
    sampling=guided.Guided(
      clip=float(config["clip_denoised"]),
      guidance=config["cfg_scale"],
      guidance_channels=3,
    ),
  )


def last(array):
  return jnp.asarray(np.moveaxis(array, -3, -1))


def first(array):
  return np.moveaxis(np.asarray(array), -1, -3)


def weights_of(m, case, names):
  theirs = golden_kit.with_none(case.params, m.labels.classes)
  return methods.Weights({"main": table.import_tree(names, theirs)})


def run(case):
  m, i = method(case.config), case.inputs
  names = convert.full(m)
  weights = weights_of(m, case, names)
  batch = {"image": last(i["x"]), "label": jnp.asarray(i["y"])}
  draws = {"t": jnp.asarray(i["t"]), "noise": last(i["noise"])}
  draws["label_drop"] = jnp.ones(len(i["t"]))  # labels are given after it

  def loss_of(params):
    return m.loss(methods.Weights(params), batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(weights.params)
  theirs = table.export_tree(names, grads["main"], constants=False)
  terms = jax.jit(m.terms)(weights, batch, draws)
  x_t, _, _ = m.noise.add(batch["image"], draws["t"], draws["noise"])
  out = jax.jit(
    lambda p: m.net.apply(
      {"params": p["main"]}, x_t, draws["t"], batch["label"], taps=("block",)
    )
  )(weights.params)
  return {
    "x_t": first(x_t),
    "model_out": first(out["pred"]),
    "cond": out["cond"],
    **{
      name: out["block"][int(name.removeprefix("block"))]
      for name in case.outputs
      if re.fullmatch(r"block\d+", name)
    },
    **terms,
    "loss": sum(terms.values()),
    "loss_mean": loss,
    **{
      name: theirs[name.removeprefix("grad/")]
      for name in case.outputs
      if name.startswith("grad/")
    },
    **sampled(case, m, weights),
  }


def sampled(case, m, weights):
  """Trajectories of the authors' batch: conditional half, then null half."""
  i, names = case.inputs, case.outputs
  # Their empty string: every time.
  kept = respace.spaced(
    m.noise.times, case.config["respacing"] or m.noise.times
  )
  fewer = m.noise.process.respaced(kept)
  shown = m.labels.condition({"label": jnp.asarray(i["sample_y"])})
  labels = jnp.concatenate(shown)
  clip, guided = m.sampling.clip, m.sampling

  def output(raw, x, level):
    return m.noise.output(raw, x, level, channels=m.channels, clip=clip)

  def network(x, t, label):
    return m.network(weights.params, x, t, label)

  def denoise(x, level):
    half = jnp.split(x, 2)[0]
    time = jnp.full(len(x), level.time)
    raw = network(jnp.concatenate([half, half]), time, labels)
    cond, null = jnp.split(raw, 2)
    both = [
      guidance.combine(
        cond,
        null,
        scale=guided.guidance,
        channels=guided.guidance_channels,
        rest=rest,
      )
      for rest in (cond, null)
    ]
    return output(jnp.concatenate(both), x, level)

  start = last(i["sample_z"])
  half = len(start)
  start, noise = jnp.concatenate([start, start]), last(i["sample_noise"])
  walk = jax.jit(
    lambda table: sampler.sample(
      table,
      denoise,
      x=start,
      noise=noise[: len(table)],
      callback=sampler.trajectory,
    )[1],
    static_argnums=0,
  )
  ancestral = solvers.ddpm(fewer.levels(), m.noise.variance)
  path = walk(ancestral)
  found = {
    "timestep_map": kept.astype(np.int32),
    "spaced_betas": np.float32(fewer.beta),
    "ddpm_x0_first": first(path["x0"][0]),
    "ddpm_final": first(path["x"][-1][:half]),
  }
  for name in names:
    if shown_steps := re.fullmatch(r"ddpm_first(\d+)", name):
      found[name] = first(path["x"][: int(shown_steps[1])])
    if shown_steps := re.fullmatch(r"ddim_eta(\d+)_(\d+)steps", name):
      # "05" is 0.5.
      digits, steps = shown_steps[1], int(shown_steps[2])
      eta = float(f"{digits[0]}.{digits[1:]}") if digits[1:] else float(digits)
      some = solvers.ddim(fewer.levels().part(0, steps), eta)
      found[name] = first(walk(some)["x"][-1])
  # What people get who ask for a sample is the conditional half.
  plain, _ = sampler.sample(
    ancestral,
    guided.denoiser(
      network,
      output,
      condition=shown,
      end=m.noise.end,
      channels=m.channels,
    ),
    start[:half],
    noise[:, :half],
  )
  plain = einops.rearrange(plain, "b h w c -> b c h w")
  scale = np.abs(found["ddpm_final"]).max()
  np.testing.assert_allclose(
    plain, found["ddpm_final"], atol=1e-3 * max(1.0, scale)
  )
  return found
