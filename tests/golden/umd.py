"""UMD (philippe-eecs/small-vision): all modes, labels, conditioning tokens."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import umd as convert
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.diffusion import umd
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels
from jmim.nn import sizes

SKIPPED = {}


def method(config):
  (patch, other), guidance = config["patch_size"], config["cfg_scale"]
  assert patch == other
  times = config["timesteps"]
  return umd.UMD(
    size=config["img_size"],
    channels=config["channels"],
    dims=sizes.Dims(
      variant=f"Ti/{patch}",
      width=config["width"],
      depth=config["depth"],
      heads=config["num_heads"],
      mlp_ratio=float(config["mlp_ratio"]),
    ),
    noise=gaussian.Gaussian(
      schedule=config["beta_schedule"],
      times=times,
      # Their linear schedule ends in the same noise for any number of times.
      **golden_kit.spread(times),
    ),
    labels=labels.Labels(classes=config["num_classes"] or 0),
    sampling=guided.Guided(
      clip=float(config["clip_denoised"]),
      eta=config["eta"],
      guidance=1.0 if guidance is None else guidance,
    ),
    decoder_depth=config["dec_depth"],
    adaln=config["adaln"],
    cls=config["num_cls"],
    clean_share=config["no_noise_prob"],
    clean_mask=config["mask_ratio_no_noise"],
    noised_mask=config["mask_ratio"],
  )


def run(case):
  m, i = method(case.config), case.inputs
  rules = convert.full(m, scanned=case.config["scan"])
  params = {"main": table.import_tree(rules, case.params)}
  weights, b = methods.Weights(params), len(i["image"])
  n0 = int(b * m.clean_share)
  batch, draws = {"image": jnp.asarray(i["image"])}, drawn(m, i, b)
  if m.labels.classes:
    # Labels are given after dropout: "none" is a label like the others.
    batch["label"] = jnp.asarray(rows(i["y"], b))
    draws["label_drop"] = jnp.ones(b)
  loss, aux = jax.jit(m.loss)(weights, batch, draws, 0)
  found = {"loss": loss, "alphas_cumprod": np.float32(m.noise.process.power)}
  if n0 < b:
    found |= noised(m, params, batch, draws, count=b - n0) | {
      "eps_loss": aux["loss_eps"],
      "x0_loss": aux["loss_x0"],
      "dit_loss": (aux["loss_eps"] + aux["loss_x0"]) / 2,
    }
  if n0:
    x, scores = batch["image"][b - n0 :], draws["scores"][b - n0 :]
    out = jax.jit(m.clean)(params, x, scores)
    found |= {
      "pred_clean": jnp.concatenate([out["x0"], out["eps"]], -1),
      "mask_clean": out["hidden"],
      "rep_clean_masked": out["pre_logits"],
      "mae_loss": aux["loss_mae"],
    }
  key = jax.random.key(0)
  found["features"] = jax.jit(m.features)(weights, batch, key)
  if "sample_z" in i:
    found |= sampled(m, params, i)
  return {k: v for k, v in found.items() if k in case.outputs}


def noised(m, params, batch, draws, count):
  """What is predicted of the first rows."""
  x, label = batch["image"][:count], m.labels.dropped(batch, draws)
  first = {k: v[:count] for k, v in draws.items()}
  label = None if label is None else label[:count]
  out = jax.jit(m.diffused)(params, x, first, label)
  return {
    "x_t": out["x_t"],
    "pred_noised": jnp.concatenate([out["x0"], out["eps"]], -1),
    "mask_noised": out["hidden"],
  }


def rows(x, b, last=False):
  """[n, ...] -> [b, ...]: the first (or last) rows, zeros elsewhere."""
  zeros = np.zeros((b - len(x), *x.shape[1:]), x.dtype)
  return np.concatenate([zeros, x] if last else [x, zeros])


def drawn(m, inputs, b):
  """Draws of all rows; those that a row does not use are zeros.

  Noised rows come first, clean ones last; either may be all, and what is not
  masked has no scores.
  """
  n = (m.size // m.dims.patch) ** 2
  none = np.zeros((0, n), np.float32)
  noised = rows(inputs.get("mask_noise_noised", none), b)
  clean = rows(inputs.get("mask_noise_clean", none), b, last=True)
  image = inputs["image"]
  return {
    "t": jnp.asarray(rows(inputs.get("t", np.zeros((0, 1), int))[:, 0], b)),
    "noise": jnp.asarray(rows(inputs.get("noise", image[:0]), b)),
    "scores": jnp.asarray(noised + clean),
  }


def sampled(m, params, inputs):
  """The steps the case lists; between some of them it jumps in time."""
  shown = {"label": jnp.asarray(inputs.get("sample_y", 0))}
  noise = jnp.asarray(inputs["sample_noise"])
  x = jnp.asarray(inputs["sample_z"])
  steps, found, first = inputs["sample_steps"], [], 0
  for last in range(len(steps)):
    if last + 1 < len(steps) and steps[last, 1] == steps[last + 1, 0]:
      continue
    part = slice(first, last + 1)
    x, path = walk(m, params, shown, steps=steps[part], x=x, noise=noise[part])
    found.append(path)
    first = last + 1
  joined = jax.tree.map(lambda *a: jnp.concatenate(a), *found)
  return {"sample_x": joined["x"], "sample_x0": joined["x0"]}


def walk(m, params, shown, steps, x, noise):
  """DDIM along (t, next t) pairs that follow each other, -1 = clean."""
  visited = [*steps[:, 0], *steps[-1:, 1][steps[-1:, 1] >= 0]]
  levels = m.noise.process.levels(visited).part(0, len(steps))
  table, sampling = solvers.ddim(levels, m.sampling.eta), m.sampling

  def output(raw, x, level):
    return m.noise.output(
      raw, x, level, channels=m.channels, clip=sampling.clip
    )

  @jax.jit
  def run(params, x):
    denoise = sampling.denoiser(
      lambda x, t, label: m.network(params, x, t, label),
      output,
      condition=m.labels.condition(shown),
      end=m.noise.end,
      channels=m.channels,
    )
    return sampler.sample(
      table, denoise, x=x, noise=noise, callback=sampler.trajectory
    )

  return run(params, x)
