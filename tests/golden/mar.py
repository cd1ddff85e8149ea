"""MAR (LTH14/mar): masked loss and gradients, tokens sampled with guidance."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import mar as convert
from jmim.core import method as methods
from jmim.diffusion import guidance
from jmim.diffusion import sampler
from jmim.methods.latent import mar
from jmim.methods.parts import first_stage
from jmim.methods.parts import labels
from jmim.methods.parts import masked_tokens
from jmim.methods.parts import random_order
from jmim.methods.parts import token_diffusion
from jmim.nn import sizes

SKIPPED = {}


def method(config):
  c = config
  side = c["img_size"] // c["vae_stride"]
  blocks = lambda name: sizes.Blocks(
    width=c[f"{name}_embed_dim"],
    depth=c[f"{name}_depth"],
    heads=c[f"{name}_num_heads"],
  )
  return mar.MAR(
    size=side,
    channels=c["vae_embed_dim"],
    patch=c["patch_size"],
    network=masked_tokens.MaskedTokens(
      encoder=blocks("encoder"),
      decoder=blocks("decoder"),
      mlp_ratio=c["mlp_ratio"],
      buffer=c["buffer_size"],
      dropout=c["proj_dropout"],
      least_rate=c["mask_ratio_min"],
    ),
    # Nothing is dropped here; guidance is refused where nothing ever was.
    labels=labels.Labels(
      classes=c["class_num"], drop=c["label_drop_prob"] or 0.1
    ),
    # Latents come as they are.
    first_stage=first_stage.FirstStage(variant="none"),
    head=token_diffusion.Head(
      width=c["diffloss_w"],
      depth=c["diffloss_d"],
      repeat=c["diffusion_batch_mul"],
    ),
    sampling=random_order.RandomOrder(
      steps=1,
      head_steps=int(c["num_sampling_steps"]),
      guidance=c["cfg"],
      temperature=c["temperature"],
    ),
  )


def last(m, tokens):
  """Numbers of tokens [..., (c p q)] -> [..., (p q c)]."""
  sizes = dict(c=m.channels, p=m.patch, q=m.patch)
  return einops.rearrange(tokens, "... (c p q) -> ... (p q c)", **sizes)


def first(m, tokens):
  sizes = dict(c=m.channels, p=m.patch, q=m.patch)
  tokens = np.asarray(tokens)
  return einops.rearrange(tokens, "... (p q c) -> ... (c p q)", **sizes)


def run(case):
  m, i = method(case.config), case.inputs
  m.inputs()  # checks that the case fits together
  images = golden_kit.images(i["x"])
  batch = {"image": images, "label": jnp.asarray(i["labels"])}
  b = len(images)
  assert b == case.config["batch"]
  rules = convert.full(m)
  params = golden_kit.import_main(m, rules, case.params, batch)
  repeated = dict(r=m.head.repeat, b=b, n=m.shape[0])
  several = lambda x: jnp.asarray(
    einops.rearrange(x, "(r b n) ... -> b r n ...", **repeated)
  )
  draws = {
    "n_mask": jnp.asarray(i["n_mask"]),
    "order": jnp.asarray(i["orders"]),
    "t": several(i["t"]),
    "noise": several(last(m, i["noise"])),
    "label_drop": jnp.ones(b),  # labels are given after it
  }
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  masked = m.network.mask(draws["order"], draws["n_mask"])
  x = m.tokens(weights, batch, draws)
  (z,) = jax.jit(m.vectors)(weights, x, [batch["label"]], masked)
  return {
    "loss": loss,
    "mask": masked[0].mask,
    "z": z.reshape(-1, z.shape[-1]),
    "head_sample": sampled(m, params["main"]["head"], i),
    **golden_kit.named_grads(case, rules, grads),
  }


def sampled(m, params, i):
  """Tokens of both halves; the second follows the noise of the first."""
  scale = m.sampling.guidance
  table, c = m.sampling.table(m.noise), m.shape[1]
  assert len(table) == len(i["head_noise"])
  z, start = jnp.asarray(i["head_z"]), jnp.asarray(last(m, i["head_start"]))
  noise = jnp.asarray(last(m, i["head_noise"]))
  if scale == 1:  # one half
    start = start[: len(z)]
    denoise = m.head.denoiser(params, m.noise, z, None, scale=scale)
    made, _ = sampler.sample(table, denoise, start, noise)
    return first(m, made)
  cond, null = jnp.split(z, 2)

  def denoise(x, level):
    half = jnp.split(x, 2)[0]
    both, t = jnp.concatenate([half, half]), jnp.full(len(z), level.time)
    raw = jnp.split(m.head.predict(params, m.noise, z, both, t=t), 2)
    raw = [guidance.combine(*raw, scale, c, rest=rest) for rest in raw]
    raw = jnp.concatenate(raw)
    return m.noise.output(raw, x, level, channels=c, clip=0.0)

  start = jnp.concatenate([start, start])
  walk = lambda how, x, noise: sampler.sample(table, how, x, noise)[0]
  made = jax.jit(lambda x, n: walk(denoise, x, n))(start, noise)
  # What people get who ask for a sample is the conditional half.
  ours = m.head.sample(
    params,
    m.noise,
    cond[None],
    null=null[None],
    scale=scale,
    table=table,
    normal=lambda call: jnp.concatenate([noise, start[None]])[
      call, : len(cond)
    ][None],
    numbers=c,
  )
  scale = np.abs(made).max()
  np.testing.assert_allclose(
    ours[0], made[: len(cond)], atol=1e-4 * max(1.0, scale)
  )
  return first(m, made)
