"""UMD (philippe-eecs/small-vision): pre-training, labels, token mode."""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import umd as convert
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.diffusion import umd

SKIPPED = {}


def method(config):
  (patch, other), side = config["patch_size"], config["img_size"]
  assert patch == other
  return umd.UMD(
    variant=f"Ti/{patch}",
    size=side,
    channels=config["channels"],
    classes=config["num_classes"] or 0,
    width=config["width"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=float(config["mlp_ratio"]),
    decoder_depth=config["dec_depth"],
    adaln=config["adaln"],
    cls=config["num_cls"],
    clean_share=config["no_noise_prob"],
    clean_mask=config["mask_ratio_no_noise"],
    noised_mask=config["mask_ratio"],
    schedule=config["beta_schedule"],
    times=config["timesteps"],
    clip=float(config["clip_denoised"]),
    eta=config["eta"],
    guidance=config["cfg_scale"] or 1.0,
  )


def run(case):
  m, i = method(case.config), case.inputs
  params = {"main": table.import_tree(convert.full(m), case.params)}
  b = len(i["image"])
  n0 = int(b * m.clean_share)
  batch, draws = {"image": jnp.asarray(i["image"])}, drawn(m, i, b)
  if m.classes:
    # Labels are given after dropout: "none" is a label like the others.
    batch["label"] = jnp.asarray(i["y"])
    draws["label_drop"] = jnp.ones(b)
  loss, aux = jax.jit(lambda p: m.loss("main", p, {}, {}, batch, draws, 0))(
    params
  )
  part = lambda tree, s: {k: v[s] for k, v in tree.items()}
  found = {"loss": loss, "alphas_cumprod": np.float32(m.process.power)}
  if n0 < b:
    rows = slice(0, b - n0)
    _, out = jax.jit(m.diffused)(params, part(batch, rows), part(draws, rows))
    found |= {
      "x_t": out["x_t"],
      "pred_noised": jnp.concatenate([out["x0"], out["eps"]], -1),
      "mask_noised": out["hidden"],
      "eps_loss": aux["loss_eps"],
      "x0_loss": aux["loss_x0"],
      "dit_loss": (aux["loss_eps"] + aux["loss_x0"]) / 2,
    }
  if n0:
    rows = slice(b - n0, b)
    _, out = jax.jit(m.clean)(params, part(batch, rows), part(draws, rows))
    found |= {
      "pred_clean": jnp.concatenate([out["x0"], out["eps"]], -1),
      "mask_clean": out["hidden"],
      "rep_clean_masked": out["pre_logits"],
      "mae_loss": aux["loss_mae"],
    }
  key = jax.random.key(0)
  found["features"] = jax.jit(m.features)(params, {}, {}, batch, key)
  found |= sampled(m, params, i)
  return {k: v for k, v in found.items() if k in case.outputs}


def drawn(m, inputs, b):
  """Draws of all rows; those that a row does not use are zeros."""
  n = (m.size // m.patch) ** 2
  parts = [inputs.get(f"mask_noise_{k}", ()) for k in ("noised", "clean")]
  parts = [np.asarray(p, np.float32).reshape(-1, n) for p in parts]
  scores = np.concatenate([*parts, np.zeros((b, n), np.float32)])[:b]

  def fill(x):
    return np.concatenate([x, np.zeros((b - len(x), *x.shape[1:]), x.dtype)])

  return {
    "t": jnp.asarray(fill(inputs["t"][:, 0])),
    "noise": jnp.asarray(fill(inputs["noise"])),
    "scores": jnp.asarray(scores),
  }


def sampled(m, params, inputs):
  """The steps the case lists; between some of them it jumps in time."""
  label = jnp.asarray(inputs["sample_y"]) if m.classes else None
  noise, x = (
    jnp.asarray(inputs["sample_noise"]),
    jnp.asarray(inputs["sample_z"]),
  )
  steps, found, first = inputs["sample_steps"], [], 0
  for last in range(len(steps)):
    if last + 1 < len(steps) and steps[last, 1] == steps[last + 1, 0]:
      continue
    part = slice(first, last + 1)
    x, path = walk(
      m, params, label=label, steps=steps[part], x=x, noise=noise[part]
    )
    found.append(path)
    first = last + 1
  joined = jax.tree.map(lambda *a: jnp.concatenate(a), *found)
  return {"sample_x": joined["x"], "sample_x0": joined["x0"]}


def walk(m, params, label, steps, x, noise):
  """DDIM along (t, next t) pairs that follow each other, -1 = clean."""
  visited = [*steps[:, 0], *steps[-1:, 1][steps[-1:, 1] >= 0]]
  levels = m.process.levels(visited).part(0, len(steps))
  table = solvers.ddim(levels, m.eta)
  return jax.jit(
    lambda p: sampler.sample(
      table, m.denoise(p, label), x=x, noise=noise, callback=sampler.trajectory
    )
  )(params)
