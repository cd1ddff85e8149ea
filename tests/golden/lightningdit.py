"""LightningDiT (hustvl/LightningDiT): network, losses, guided trajectory."""

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import lightningdit as convert
from jmim.diffusion import sampler
from jmim.diffusion import targets
from jmim.methods.diffusion import lightningdit

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
  assert not config["wo_shift"] and config["use_cosine_loss"]
  return lightningdit.LightningDiT(
    variant=f"B/{config['patch_size']}",
    size=config["input_size"],
    channels=config["in_channels"],
    width=config["hidden_size"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=config["mlp_ratio"],
    classes=config["num_classes"],
    norm="rms" if config["use_rmsnorm"] else "layer",
    swiglu=config["use_swiglu"],
    rotary=config["use_rope"],
    qk_norm=config["use_qknorm"],
    label_drop=config["class_dropout_prob"],
    steps=config["num_steps"] - 1,
    shift=config["timestep_shift"],
    guidance=config["cfg_scale"],
    guidance_channels=3,
    guidance_start=config["cfg_interval_start"],
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
  params = {"main": table.import_tree(names, case.params)}
  batch = {"image": last(i["x1"]), "label": jnp.asarray(i["y"])}
  draws = {"u": jnp.asarray(i["t"]), "noise": last(i["x0"])}
  draws["label_drop"] = jnp.ones(len(i["t"]))  # labels are given after it
  terms = jax.jit(m.terms)(params, batch, draws)
  loss, _ = m.loss("main", params, {}, {}, batch, draws, 0)
  u = targets.expand(draws["u"], 4)
  x_u = targets.noised(batch["image"], draws["noise"], u, 1 - u)
  out = jax.jit(
    lambda p: m.net.apply(
      {"params": p["main"]},
      x_u,
      draws["u"],
      batch["label"],
      taps=("block", "v", "attention"),
    )
  )(params)
  proj = jax.tree.map(
    lambda a: a[0], params["main"]["blocks"]["layers"]["attn"]["proj"]
  )
  y = jnp.einsum("bhts,bhsd->bhtd", out["attention"][0], out["v"][0])
  y = einops.rearrange(y, "b h t d -> b t (h d)")
  start = last(i["z"])
  _, walk = jax.jit(
    lambda p: sampler.sample(
      m.table,
      m.denoise(p, batch["label"]),
      x=start,
      noise=None,
      callback=sampler.trajectory,
    )
  )(params)
  path = jnp.concatenate([start[None], walk["x"]])
  level = m.table.level
  return {
    "xt": first(x_u),
    "ut": first(batch["image"] - draws["noise"]),
    "attn0": y @ proj["kernel"] + proj["bias"],
    "block0": out["block"][0],
    "pred": first(out["pred"]),
    **terms,
    "loss": loss,
    "times": np.append(level.time, level.to_signal[-1]),
    "sample": first(path),
  }
