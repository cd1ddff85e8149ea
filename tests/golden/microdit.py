"""MicroDiT (SonyResearch/micro_diffusion): blocks, losses, guided Heun."""

import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import microdit as convert
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.masks import tokens as masking
from jmim.methods.diffusion import microdit
from jmim.methods.parts import edm
from jmim.methods.parts import first_stage
from jmim.methods.parts import guided
from jmim.methods.parts import mixed_patches
from jmim.methods.parts import told_caption
from jmim.methods.parts import uneven_blocks
from jmim.nn import posemb

SKIPPED = {}
STEPS = 4  # of their sampler, where a case does not say


def steps(case):
  """Of their sampler: a sentence of the case says it, no key does."""
  told = getattr(case, "info", {}).get("arrays", {}).get("out/sample", {})
  found = re.search(r"(\d+) steps", told.get("meaning", ""))
  return int(found[1]) if found else STEPS


def method(config, steps=STEPS):
  c = config
  mixed = c["use_patch_mixer"]
  return microdit.MicroDiT(
    size=c["input_size"],
    channels=c["in_channels"],
    mask_ratio=c["mask_ratio"],
    patches=mixed_patches.MixedPatches(
      patch=c["patch_size"],
      position_scale=c["pos_interp_scale"],
      backbone=uneven_blocks.Backbone(
        width=c["dim"],
        depth=c["depth"],
        head=c["head_dim"],
        qkv_ratios=tuple(c["qkv_multipliers"]),
        mlp_ratios=tuple(c["ffn_multipliers"]),
        multiple=c["multiple_of"],
        experts=c["num_experts"],
        capacity=c["expert_capacity"],
        every=c["experts_every_n"],
        bias=c["use_bias"],
      ),
      mixer=uneven_blocks.Mixer(
        depth=c["patch_mixer_depth"] if mixed else 0,
        maps=mixed,
        width=c["patch_mixer_dim"] if mixed else 0,
        qkv_ratio=c["patch_mixer_qkv_ratio"] if mixed else 1.0,
        mlp_ratio=c["patch_mixer_mlp_ratio"] if mixed else 1.0,
      ),
    ),
    caption=told_caption.ToldCaption(
      length=c["caption_len"], width=c["caption_channels"]
    ),
    first_stage=first_stage.FirstStage(variant="none"),  # latents as they are
    noise=edm.EDM(mean=c["p_mean"], std=c["p_std"], data_std=c["sigma_data"]),
    sampling=guided.Guided(
      sampler="heun",
      steps=c.get("num_steps", steps),
      guidance=c["cfg_scale"],
      clip=0.0,
    ),
  )


def first(array):
  return np.moveaxis(np.asarray(array), -1, -3)


def run(case):
  m, i = method(case.config, steps(case)), case.inputs
  batch = {"image": golden_kit.images(i["x"]), "context": i["y"][:, 0]}
  b = len(batch["image"])
  assert b == case.config["batch"]
  rules = convert.full(m)
  weights = methods.Weights({"main": table.import_tree(rules, case.params)})
  draws = {
    "level": jnp.asarray(i["rnd_normal"].reshape(b)),
    "noise": golden_kit.images(i["eps"]),
    "mask": jnp.asarray(i["mask_noise"]),
    "caption_drop": jnp.ones(b),  # captions are given after it
  }
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  sigma = m.noise.sigma(draws)
  mask = masking.hide(draws["mask"], m.mask_ratio)
  whole = jax.jit(lambda w: m.errors(w, batch, draws, 0.0).mean())(weights)
  x = batch["image"] + sigma[:, None, None, None] * draws["noise"]
  told, t = jnp.asarray(batch["context"]), m.noise.time(sigma)
  denoised = lambda w, mask: m.noise.denoised(
    m.network(w.params, x, t, told, mask=mask), x, t
  )
  found = {
    "sigma": sigma,
    "loss_masked": loss,
    "loss_unmasked": whole,
    "denoised_masked": first(jax.jit(denoised)(weights, mask)),
    "denoised": first(jax.jit(denoised)(weights, None)),
    **inside(m, weights, (x, t, told, mask)),
    **golden_kit.named_grads(case, rules, grads),
  }
  found["mask"] = (
    np.zeros(i["mask_noise"].shape, np.float32) if mask is None else mask.mask
  )
  for name, scale in (
    ("sample", m.sampling.guidance),
    ("sample_nocfg", 1.0),
  ):
    if name in case.outputs:
      found[name] = first(sampled(m, weights, batch, z=i["z"], scale=scale))
  return golden_kit.asked(case, found)


def inside(m, weights, seen):
  """What blocks give of (x, t, told, mask), by the names of the case."""
  x, *rest = seen
  t = rest[0]
  net = m.patches.net(m.shape)

  names = ("mixer_", "block_", "patch_embed")

  def apply(params):
    variables = {"params": params["main"]["net"]}
    out, state = net.apply(
      variables,
      m.noise.seen(x, t),
      *rest,
      capture_intermediates=lambda module, _: (
        module.name and module.name.startswith(names)
      ),
    )
    inner = state["intermediates"]
    return out, {name: inner[name]["__call__"][0] for name in inner}

  out, blocks = jax.jit(apply)(weights.params)
  found = {"cond": out["cond"], "caption_tokens": out["told"][:, None]}
  for i in range(len(net.layers)):
    found[f"block{i}_masked"] = blocks[f"block_{i}"]
  # Without a mixer it is what would go into it.
  mixed = blocks["patch_embed"] + posemb.sincos_2d(
    net.width, net.grid, step=net.step
  )
  if net.mixer:
    mixed = blocks[f"mixer_{len(net.mixer) - 1}"]
  elif net.maps:
    mixed = blocks["mixer_in"]
  return found | {"mixer_out": mixed}


def sampled(m, weights, batch, z, scale):
  """Their sampler, from their noise."""
  given = einops.rearrange(z, "b c h w -> b h w c")
  sampling = guided.Guided(
    sampler="heun", steps=m.sampling.steps, guidance=scale, clip=0.0
  )
  steps = m.noise.table(sampling)

  @jax.jit
  def walk(weights, z):
    denoise = sampling.denoiser(
      lambda x, t, told: m.network(weights.params, x, t, told),
      lambda raw, x, level: m.noise.output(
        raw, x, level, channels=m.channels, clip=0.0
      ),
      condition=m.caption.condition(weights, batch),
      end=m.noise.end,
      channels=m.channels,
    )
    return sampler.sample(steps, denoise, m.noise.start(z))[0]

  return walk(weights, jnp.asarray(given))
