"""LightningDiT (hustvl/LightningDiT): network, losses, guided trajectory."""

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import lightningdit as convert
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.methods.diffusion import lightningdit
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.methods.parts import labels
from jmim.nn import sizes

TOKENIZER = (
  "z",
  "rec",
  "vf_loss",
  "vf_weight",
  "d_weight",
  "nll_loss",
  "kl_loss",
  "g_loss",
  "total",
  "grad_enc_weight",
  "grad_proj_weight",
)
SKIPPED = dict.fromkeys(
  TOKENIZER, "of VA-VAE's tokenizer, which is no method here"
)


def method(config):
  return lightningdit.LightningDiT(
    size=config["input_size"],
    channels=config["in_channels"],
    dims=sizes.Dims(
      variant=f"B/{config['patch_size']}",
      width=config["hidden_size"],
      depth=config["depth"],
      heads=config["num_heads"],
      mlp_ratio=config["mlp_ratio"],
    ),
    noise=flow.Flow(
      shift=config["timestep_shift"], spare=config.get("learn_sigma", False)
    ),
    labels=labels.Labels(
      classes=config["num_classes"], drop=config["class_dropout_prob"]
    ),
    sampling=guided.Guided(
      sampler="euler",
      steps=config["num_steps"] - 1,
      guidance=config["cfg_scale"],
      guidance_channels=3,
      guidance_interval=(config["cfg_interval_start"], 1.0),
      clip=0.0,
    ),
    norm="rms" if config["use_rmsnorm"] else "layer",
    swiglu=config["use_swiglu"],
    rotary=config["use_rope"],
    qk_norm=config["use_qknorm"],
    adaln_shift=not config["wo_shift"],
    direction=float(config["use_cosine_loss"]),
  )


def last(array):
  return jnp.asarray(np.moveaxis(array, -3, -1))


def first(array):
  return np.moveaxis(np.asarray(array), -1, -3)


def run(case):
  if "z_channels" in case.config:
    return {}
  m, i = method(case.config), case.inputs
  names = convert.full(m)
  weights = methods.Weights({"main": table.import_tree(names, case.params)})
  batch = {"image": last(i["x1"]), "label": jnp.asarray(i["y"])}
  draws = {"t": jnp.asarray(i["t"]), "noise": last(i["x0"])}
  draws["label_drop"] = jnp.ones(len(i["t"]))  # labels are given after it
  terms = jax.jit(m.terms)(weights, batch, draws)
  loss, _ = jax.jit(m.loss)(weights, batch, draws, 0)
  x_u, _, _ = m.noise.add(batch["image"], draws["t"], draws["noise"])
  out = jax.jit(
    lambda p: m.net.apply(
      {"params": p["main"]},
      x_u,
      draws["t"],
      batch["label"],
      taps=("block", "v", "attention"),
    )
  )(weights.params)
  proj = jax.tree.map(
    lambda a: a[0], weights.params["main"]["blocks"]["layers"]["attn"]["proj"]
  )
  y = jnp.einsum("bhts,bhsd->bhtd", out["attention"][0], out["v"][0])
  y = einops.rearrange(y, "b h t d -> b t (h d)")
  path, level = trajectory(m, weights, batch, last(i["z"]))
  found = {
    "xt": first(x_u),
    "ut": first(m.noise.velocity(batch["image"], draws["noise"])),
    "attn0": y @ proj["kernel"] + proj["bias"],
    "block0": out["block"][0],
    # Their network leaves out the half of its output that is not used.
    "pred": first(out["pred"][..., : m.channels]),
    **terms,
    "loss": loss,
    "times": np.append(level.time, level.to_signal[-1]),
    "sample": first(path),
  }
  return {name: x for name, x in found.items() if name in case.outputs}


def trajectory(m, weights, batch, start):
  """(states, the first included; levels) of the guided sampler."""

  def output(raw, x, level):
    return m.noise.output(raw, x, level, channels=m.channels, clip=0.0)

  steps = m.noise.table(m.sampling)

  @jax.jit
  def walk(weights, z):
    denoise = m.sampling.denoiser(
      lambda x, t, label: m.network(weights.params, x, t, label),
      output,
      condition=m.labels.condition(batch),
      end=m.noise.end,
      channels=m.channels,
    )
    return sampler.sample(steps, denoise, z, callback=sampler.trajectory)

  _, states = walk(weights, start)
  return jnp.concatenate([start[None], states["x"]]), steps.level
