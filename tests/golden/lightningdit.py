"""LightningDiT and VA-VAE (hustvl/LightningDiT): both stages' losses."""

import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import ldm
from jmim.convert.tables import lightningdit as convert
from jmim.convert.tables import va_vae as tables
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.methods.diffusion import lightningdit
from jmim.methods.latent import va_vae
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.methods.parts import labels
from jmim.nn import sizes
from jmim.nn.nets import autoencoder

SKIPPED = {}
# Their names of fields of the alignment.
ALIGNMENT = {
  "cos_margin": "cosine_margin",
  "distmat_margin": "pairs_margin",
  "cos_weight": "cosine_weight",
  "distmat_weight": "pairs_weight",
  "vf_weight": "weight",
  "adaptive_vf": "adaptive",
}


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
      shift=config["timestep_shift"] or 1.0,  # 0: none there
      spare=config.get("learn_sigma", False),
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
    return tokenizer(case)
  m, i = method(case.config), case.inputs
  names = convert.full(m)
  theirs = golden_kit.with_none(case.params, m.labels.classes)
  params = table.import_tree(names, theirs)
  weights = methods.Weights({"main": params})
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


def aligned(config):
  """The method of the losses; what encodes and decodes is not there."""
  assert not config["perceptual_weight"]  # no case has such a network
  maps = "latents" if config["reverse_proj"] else "features"
  return field.replace(
    va_vae.VAVAE(),
    log_scale=config["logvar"],
    kl_weight=config["kl_weight"],
    losses=dict(
      disc_layers=config["disc_num_layers"],
      disc_width=config["disc_ndf"],
      disc_weight=config["disc_weight"],
      disc_start=config["disc_start"],
    ),
    alignment=dict(
      maps=maps, **{ours: config[n] for n, ours in ALIGNMENT.items()}
    ),
  )


def rules(m):
  """Names of what such a case holds."""
  critic = ldm.critic(m.losses.disc_layers)
  return [
    *pieces.dense("enc", "autoencoder/enc", op=ops.CONV),
    *pieces.dense("dec", "autoencoder/last", op=ops.CONV),
    *tables.projection("proj", "autoencoder/map", m),
    *table.placed(critic, "discriminator.", "discriminator/"),
  ]


def tokenizer(case):
  """Losses around a convolution that encodes and one that decodes."""
  m, i, step = aligned(case.config), case.inputs, case.config["global_step"]
  ignored = re.compile("running_|num_batches")
  theirs = {k: v for k, v in case.params.items() if not ignored.search(k)}
  params = jax.tree.map(jnp.asarray, table.import_tree(rules(m), theirs))
  x, noise = last(i["x"]), last(i["eps"])
  f = einops.rearrange(i["aux"], "b f h w -> b (h w) f")
  side = params["autoencoder"]["enc"]["kernel"].shape[0]
  layout = ("NHWC", "HWIO", "NHWC")

  def coded(kernel, bias):
    moments = jax.lax.conv_general_dilated(
      x, kernel, (side, side), "VALID", dimension_numbers=layout
    )
    return autoencoder.drawn(moments + bias, noise), moments + bias

  def decoded(z):
    return einops.repeat(z, "b h w c -> b (h p) (w q) c", p=side, q=side)

  def total(params):
    enc = params["autoencoder"]["enc"]
    loss, aux = m.aligned(
      methods.Weights(params),
      x,
      f,
      step,
      coded=lambda kernel: coded(kernel, enc["bias"]),
      kernel=enc["kernel"],
      decoded=decoded,
    )
    z, _ = coded(**enc)
    made = m.net.pixels(params["autoencoder"], decoded(z))
    return loss, (aux, z, made)

  (loss, (aux, z, made)), grads = jax.jit(
    jax.value_and_grad(total, has_aux=True)
  )(params)
  grads = table.export_tree(rules(m), grads)
  return {
    "z": first(z),
    "rec": first(made),
    "vf_loss": aux["alignment"],
    "vf_weight": aux["alignment_weight"],
    "d_weight": aux["disc_weight"],
    "nll_loss": aux["nll"],
    "kl_loss": aux["kl"],
    "g_loss": aux["adversarial"],
    "total": loss,
    "grad_enc_weight": grads["enc.weight"],
    "grad_proj_weight": grads["proj.weight"],
  }
