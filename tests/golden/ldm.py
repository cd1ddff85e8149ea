"""LDM (CompVis/latent-diffusion, taming-transformers): both stages, DDIM."""

import dataclasses

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import ldm as convert
from jmim.convert.tables import ldm_unet
from jmim.diffusion import guidance
from jmim.diffusion import sampler
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import autoencoder_vq
from jmim.methods.latent import ldm
from jmim.nn import vq
from jmim.nn.frozen import lpips
from jmim.nn.nets import autoencoder

SKIPPED = {}


def run(case):
  if "double_z" in case.config:
    return gaussian(case)
  if "n_embed" in case.config:
    return quantised(case)
  return ddim(case) if "eta" in case.config else unet(case)


def nhwc(x):
  return jnp.asarray(einops.rearrange(x, "b c h w -> b h w c"))


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def gaussian(case):
  c = case.config
  assert c["double_z"] and c["in_channels"] == c["out_ch"]
  m = autoencoder_kl.AutoencoderKL(
    size=c["resolution"],
    channels=c["in_channels"],
    width=c["ch"],
    multipliers=tuple(c["ch_mult"]),
    latent=c["z_channels"],
    embed=c["embed_dim"],
    blocks=c["num_res_blocks"],
    attend_at=tuple(c["resolution"] // r for r in c["attn_resolutions"]),
    variant="kl-f4",
    disc_start=0,
  )
  names = convert.autoencoder(m.net.size, convert.compvis)
  params = {"autoencoder": table.import_tree(names, case.params)}
  x, noise = nhwc(case.inputs["x"]), nhwc(case.inputs["eps"])
  moments, hidden = jax.jit(m.net.encode)(params["autoencoder"], x)
  mean, log_var = autoencoder.posterior(moments)
  z = autoencoder.drawn(moments, noise)
  decode = jax.jit(m.net.decode)
  restored = jax.jit(m.restore)(params, {}, {}, {"image": x}, None)["image"]
  return {
    "encoder_h": nchw(hidden),
    "mean": nchw(mean),
    "logvar": nchw(log_var),
    "kl": autoencoder.divergence(moments),
    "z": nchw(z),
    "rec": nchw(decode(params["autoencoder"], z)),
    "rec_from_mean": nchw(restored),
  }


def quantised(case):
  """Losses around an encoder's output and a decoder of one convolution."""
  c, i = case.config, case.inputs
  assert not c["perceptual_weight"]
  m = autoencoder_vq.AutoencoderVQ(
    codes=c["n_embed"],
    embed=c["embed_dim"],
    beta=c["beta"],
    legacy=c["legacy"],
    pixel=c["pixel_loss"],
    disc_layers=c["disc_num_layers"],
    disc_width=c["disc_ndf"],
    disc_weight=c["disc_weight"],
    disc_loss=c["disc_loss"],
    disc_start=c["disc_start"],
  )
  params = imported(m, case.params)
  z, x = nhwc(i["z"]), nhwc(i["x"])
  codes = params["autoencoder"]["codes"]
  on = jnp.float32(c["global_step"] >= c["disc_start"])

  def total(z):
    q, ids, codebook = m.quantise(codes, z)
    parts = m.fool(params, {}, x, q, on)
    return parts["total"] + codebook, (q, ids, codebook, parts)

  (loss, (q, ids, codebook, parts)), grad = jax.jit(
    jax.value_and_grad(total, has_aux=True)
  )(z)
  made = m.net.pixels(params["autoencoder"], q)
  real, fake = m.judge(params, x), m.judge(params, made)
  return {
    "indices": np.asarray(ids).ravel(),
    "zq": nchw(q),
    "codebook_loss": codebook,
    "rec": nchw(made),
    "total_loss": loss,
    "d_weight": parts["disc_weight"],
    "g_loss": parts["adversarial"],
    "nll_loss": parts["nll"],
    "perplexity": vq.perplexity(ids, m.codes),
    "disc_loss": on * m.judged(real, fake),
    "logits_real": nchw(real),
    "grad_z": nchw(grad),
    "lpips_layer": lpips.layer_distance(
      nhwc(i["feat0"]), nhwc(i["feat1"]), jnp.asarray(i["lin_w"][0, :, 0, 0])
    )[:, None, None, None],
  }


def imported(m, theirs):
  """The parts that a case holds; running statistics are not ours."""
  rules = [
    table.Rule(theirs="quantize.embedding.weight", ours="autoencoder/codes"),
    *pieces.dense("decoder.conv_out", "autoencoder/last", ops.CONV),
    *table.placed(
      convert.critic(m.disc_layers), "discriminator.", "discriminator/"
    ),
  ]
  kept = {k: v for k, v in theirs.items() if "running_" not in k}
  return jax.tree.map(jnp.asarray, table.import_tree(rules, kept))


def unet(case):
  """The network with a context, what its middle and time embedding give."""
  c, i = case.config, case.inputs
  each = c.get("num_head_channels", -1)
  m = ldm.LDM(
    first_stage="none",
    size=c["image_size"],
    channels=c["out_channels"],
    width=c["model_channels"],
    multipliers=tuple(c["channel_mult"]),
    blocks=c["num_res_blocks"],
    attend_at=tuple(c["attention_resolutions"]),
    heads=0 if each > 0 else c["num_heads"],
    head_width=max(1, each),
    scale_shift=c.get("use_scale_shift_norm", False),
    updown=c.get("resblock_updown", False),
    transformer=c.get("transformer_depth", 1) * c["use_spatial_transformer"],
    context=c.get("context_dim", 1),
  )
  labels = c.get("num_classes") or 0
  net = dataclasses.replace(m.net, classes=max(0, labels - 1))
  params = table.import_tree(ldm_unet.network(net), case.params)
  x, t = nhwc(i["x"]), jnp.asarray(i["t"])
  label, context = (
    jnp.asarray(i[n]) if n in i else None for n in ("y", "context")
  )

  def apply(params):
    wanted = ("middle_1", "time_embed")
    eps, seen = net.apply(
      {"params": params},
      x,
      t,
      label,
      context,
      capture_intermediates=lambda net, _: net.name in wanted,
    )
    seen = seen["intermediates"]
    return eps, seen["middle_1"], seen["time_embed"]

  eps, middle, time = jax.jit(apply)(params)
  return {
    "eps": nchw(eps),
    "mid": nchw(middle["__call__"][0]),
    "time_emb": time["__call__"][0],
  }


def ddim(case):
  """The path, and the states under recorded outputs of a network."""
  c = case.config
  i = {k: jnp.asarray(v) for k, v in case.inputs.items()}
  assert c["schedule"] == "linear"  # in the square root of beta: ours "scaled"
  m = ldm.LDM(
    first_stage="none",
    times=c["T"],
    steps=c["S"],
    eta=c["eta"],
    beta_start=c["linear_start"],
    beta_end=c["linear_end"],
    guidance=c["guidance_scale"],
    channels=i["x_T"].shape[-1],
  )
  path, process = m.table, m.process

  def denoise(x, level):
    eps = guidance.combine(
      i["eps_cond"][level.index], i["eps_uncond"][level.index], m.guidance
    )
    return m.output(eps, x, level)

  _, states = sampler.sample(
    path, denoise, x=i["x_T"], noise=i["noise"], callback=sampler.trajectory
  )
  f = lambda x: np.float32(x[::-1])  #   ascending, as recorded
  return {
    "betas": np.float32(process.beta),
    "alphas_cumprod": np.float32(process.power),
    "timesteps": path.level.time[::-1].astype(np.int32),
    "alphas": f(path.level.signal**2),
    "alphas_prev": f(path.level.to_signal**2),
    "sigmas": f(path.std),
    "x": states["x"],
    "pred_x0": states["x0"],
  }
