"""DiT (facebookresearch/DiT): loss, gradients, DDPM and DDIM with guidance."""

import re

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import dit as convert
from jmim.diffusion import guidance
from jmim.diffusion import respace
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.diffusion import dit

SKIPPED = {}
SAMPLED = ("ddpm_", "ddim_")


def method(config):
  assert config["variance"] == "LEARNED_RANGE" and config["learn_sigma"]
  return dit.DiT(
    variant=f"S/{config['patch_size']}",
    size=config["input_size"],
    channels=config["in_channels"],
    classes=config["num_classes"],
    width=config["hidden_size"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=config["mlp_ratio"],
    schedule=config["noise_schedule"],
    times=config["diffusion_steps"],
    clip=float(config["clip_denoised"]),
    guidance=config["cfg_scale"],
    guidance_channels=3,
  )


def last(array):
  return jnp.asarray(np.moveaxis(array, -3, -1))


def first(array):
  return np.moveaxis(np.asarray(array), -1, -3)


def run(case):
  m, i = method(case.config), case.inputs
  names = convert.full(m)
  params = {"main": table.import_tree(names, case.params)}
  batch = {"image": last(i["x"]), "label": jnp.asarray(i["y"])}
  draws = {"t": jnp.asarray(i["t"]), "noise": last(i["noise"])}
  draws["label_drop"] = jnp.ones(len(i["t"]))  # labels are given after it

  def loss_of(params):
    return m.loss("main", params, {}, {}, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  theirs = table.export_tree(names, grads["main"], constants=False)
  terms = jax.jit(m.terms)(params, batch, draws)
  x_t, _, _ = m.noised(batch["image"], draws)
  out = jax.jit(
    lambda p: m.net.apply(
      {"params": p["main"]}, x_t, draws["t"], batch["label"], taps=("block",)
    )
  )(params)
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
    "loss": terms["mse"] + terms["vb"],
    "loss_mean": loss,
    **{
      name: theirs[name.removeprefix("grad/")]
      for name in case.outputs
      if name.startswith("grad/")
    },
    **sampled(case, m, params),
  }


def sampled(case, m, params):
  """Trajectories of the authors' batch: conditional half, then null half."""
  i, names = case.inputs, case.outputs
  kept = respace.spaced(m.times, case.config["respacing"])
  fewer = m.process.respaced(kept)
  label = jnp.asarray(i["sample_y"])
  labels = jnp.concatenate([label, jnp.full_like(label, m.classes)])

  def denoise(x, level):
    half = jnp.split(x, 2)[0]
    raw = m.network(
      params,
      jnp.concatenate([half, half]),
      jnp.full(len(x), level.time),
      labels,
    )
    cond, null = jnp.split(raw, 2)
    both = [
      guidance.combine(
        cond, null, scale=m.guidance, channels=m.guidance_channels, rest=rest
      )
      for rest in (cond, null)
    ]
    return m.output(jnp.concatenate(both), x, level)

  start = last(i["sample_z"])
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
  path = walk(solvers.ddpm(fewer.levels(), "learned"))
  found = {
    "timestep_map": kept.astype(np.int32),
    "spaced_betas": np.float32(fewer.beta),
    "ddpm_x0_first": first(path["x0"][0]),
    "ddpm_final": first(path["x"][-1][: len(label)]),
  }
  for name in names:
    if shown := re.fullmatch(r"ddpm_first(\d+)", name):
      found[name] = first(path["x"][: int(shown[1])])
    if shown := re.fullmatch(r"ddim_eta(\d+)_(\d+)steps", name):
      # "05" is 0.5.
      digits, steps = shown[1], int(shown[2])
      eta = float(f"{digits[0]}.{digits[1:]}") if digits[1:] else float(digits)
      some = solvers.ddim(fewer.levels().part(0, steps), eta)
      found[name] = first(walk(some)["x"][-1])
  # What people get who ask for a sample is the conditional half.
  plain, _ = sampler.sample(
    solvers.ddpm(fewer.levels(), "learned"),
    m.denoise(params, label),
    start[: len(label)],
    noise[:, : len(label)],
  )
  np.testing.assert_allclose(
    einops.rearrange(plain, "b h w c -> b c h w"),
    found["ddpm_final"],
    atol=1e-3,
  )
  return found
