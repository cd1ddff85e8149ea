"""LDM (CompVis/latent-diffusion, taming-transformers): both stages, DDIM."""

import re

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet as unets
from jmim.convert.tables import ldm as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import autoencoder_vq
from jmim.methods.latent import ldm
from jmim.nn import vq
from jmim.nn.frozen import lpips
from jmim.nn.nets import autoencoder

SKIPPED = {}
# Their names: "linear" and "sqrt_linear" in the root of beta and in beta.
SCHEDULES = {
  "linear": "scaled_linear",
  "sqrt_linear": "linear",
  "sqrt": "root_linear",
  "cosine": "cosine",
}
EMBEDDING = table.Rule(theirs="quantize.embedding.weight", ours="codes")


def run(case):
  kinds = {  # key of a config -> what such a case is about
    "disc_loss": adversaries,
    "n_embed": quantised,
    "ch_mult": normal,
    "model_channels": unet,
    "linear_start": ddim,
  }
  found = next(f for key, f in kinds.items() if key in case.config)(case)
  return {name: x for name, x in found.items() if name in case.outputs}


def nhwc(x):
  return jnp.asarray(einops.rearrange(x, "b c h w -> b h w c"))


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def dims(config, kind):
  """The autoencoder's; theirs counts resolutions, ours factors."""
  side, attended = config["resolution"], config["attn_resolutions"]
  factors = [2**n for n in range(len(config["ch_mult"]))]
  return dict(
    variant=f"{kind}-f4",
    width=config["ch"],
    multipliers=tuple(config["ch_mult"]),
    latent=config["z_channels"],
    embed=config["embed_dim"],
    blocks=config["num_res_blocks"],
    attend_at=tuple(f for f in factors if side // f in attended),
  )


def stage(config):
  """The first stage; both numbers of a Gaussian need a double z."""
  assert config["in_channels"] == config["out_ch"]
  sizes = {"size": config["resolution"], "channels": config["in_channels"]}
  if config["double_z"]:
    m = autoencoder_kl.AutoencoderKL()
    return field.replace(m, **sizes, dims=dims(config, "kl"))
  m, options = autoencoder_vq.AutoencoderVQ(), {"codebook": codes(config)}
  return field.replace(m, **sizes, **options, dims=dims(config, "vq"))


def normal(case):
  """The autoencoder with a Gaussian posterior."""
  c = case.config
  assert c["double_z"]
  sizes = {"size": c["resolution"], "channels": c["in_channels"]}
  m = field.replace(autoencoder_kl.AutoencoderKL(), **sizes, dims=dims(c, "kl"))
  names = convert.autoencoder(m.net.size, convert.compvis)
  params = {"autoencoder": table.import_tree(names, case.params)}
  x, noise = nhwc(case.inputs["x"]), nhwc(case.inputs["eps"])
  moments, hidden = jax.jit(m.net.encode)(params["autoencoder"], x)
  mean, log_var = autoencoder.posterior(moments)
  z = autoencoder.drawn(moments, noise)
  decode, weights = jax.jit(m.net.decode), methods.Weights(params)
  restored = jax.jit(m.restore)(weights, {"image": x}, None)
  return {
    "encoder_h": nchw(hidden),
    "mean": nchw(mean),
    "logvar": nchw(log_var),
    "kl": autoencoder.divergence(moments),
    "z": nchw(z),
    "rec": nchw(decode(params["autoencoder"], z)),
    "rec_from_mean": nchw(restored["image"]),
  }


def quantised(case):
  """The autoencoder with a codebook, whole."""
  m = stage(case.config)
  names = [*convert.autoencoder(m.net.size, convert.compvis), EMBEDDING]
  params = table.import_tree(names, case.params)
  x = nhwc(case.inputs["x"])
  z, hidden = jax.jit(m.net.encode)(params, x)
  q, ids, loss = jax.jit(m.codebook.quantise)(params["codes"], z)
  return {
    "encoder_h": nchw(hidden),
    "z": nchw(z),
    "zq": nchw(q),
    "indices": np.asarray(ids).ravel(),
    "codebook_loss": loss,
    "rec": nchw(jax.jit(m.net.decode)(params, z)),
  }


def codes(config):
  beta, legacy = config.get("beta", 0.25), config.get("legacy", True)
  return dict(codes=config["n_embed"], beta=beta, legacy=legacy)


def critical(config):
  """The method of the losses; what encodes is not there."""
  assert not config["perceptual_weight"]  # no case has such a network
  return field.replace(
    autoencoder_vq.AutoencoderVQ(),
    dims=dict(embed=config["embed_dim"]),
    codebook=codes(config),
    losses=dict(
      pixel=config["pixel_loss"],
      disc_layers=config["disc_num_layers"],
      disc_width=config["disc_ndf"],
      **{n: config[n] for n in ("disc_weight", "disc_loss", "disc_start")},
    ),
  )


def adversaries(case):
  """Losses around an encoder's output and a decoder of one convolution."""
  c, i = case.config, case.inputs
  m = critical(c)
  weights = methods.Weights(imported(m, case.params))
  params, losses = weights.params["autoencoder"], m.losses
  z, x, step = nhwc(i["z"]), nhwc(i["x"]), c["global_step"]

  def total(z):
    q, ids, loss_q = m.codebook.quantise(params["codes"], z)
    loss, terms = losses.generator_loss(
      weights, x, q, step, net=m.net, likelihood=lambda errors: errors.mean()
    )
    return loss + loss_q, (q, ids, loss_q, terms)

  (loss, (q, ids, loss_q, terms)), grad = jax.jit(
    jax.value_and_grad(total, has_aux=True)
  )(z)
  made = m.net.pixels(params, q)
  of_critic, _ = losses.critic_loss(weights, x, made, step)
  logits = [losses.critic_logits(weights.params, a) for a in (x, made)]
  return {
    "indices": np.asarray(ids).ravel(),
    "zq": nchw(q),
    "codebook_loss": loss_q,
    "rec": nchw(made),
    "total_loss": loss,
    "d_weight": terms["disc_weight"],
    "g_loss": terms["adversarial"],
    "nll_loss": terms["nll"],
    "perplexity": vq.perplexity(ids, m.codebook.codes),
    "disc_loss": of_critic,
    "logits_real": nchw(logits[0]),
    "logits_fake": nchw(logits[1]),
    "grad_z": nchw(grad),
    "lpips_layer": lpips.layer_distance(
      nhwc(i["feat0"]), nhwc(i["feat1"]), jnp.asarray(i["lin_w"][0, :, 0, 0])
    )[:, None, None, None],
  }


def rules(m):
  """Names of the parts that a case holds."""
  critic = convert.critic(m.losses.disc_layers)
  return [
    *table.placed([EMBEDDING], "", "autoencoder/"),
    *pieces.dense("decoder.conv_out", "autoencoder/last", ops.CONV),
    *table.placed(critic, "discriminator.", "discriminator/"),
  ]


def imported(m, theirs):
  """The parts that a case holds; running statistics are not ours."""
  ignored = re.compile("running_|num_batches")
  kept = {k: v for k, v in theirs.items() if not ignored.search(k)}
  return jax.tree.map(jnp.asarray, table.import_tree(rules(m), kept))


def second_stage(config):
  """The method of a UNet's constructor, whose defaults are the authors'."""
  get, each = config.get, config.get("num_head_channels", -1)
  heads, going_up = get("num_heads", -1), get("num_heads_upsample", -1)
  transformer = get("use_spatial_transformer", False)
  # Only where heads are counted, by the legacy rule, do both ways differ.
  apart = going_up > 0 and get("legacy", True) and not transformer
  return field.replace(
    ldm.LDM(),
    first_stage={"variant": "none"},
    size=config["image_size"],
    channels=config["out_channels"],
    dims=dict(
      width=config["model_channels"],
      multipliers=tuple(get("channel_mult", (1, 2, 4, 8))),
      blocks=config["num_res_blocks"],
      attend_at=tuple(config["attention_resolutions"]),
      heads=0 if each > 0 else heads,
      head_width=max(1, each),
      up_heads=going_up if apart else 0,
      scale_shift=get("use_scale_shift_norm", False),
      updown=get("resblock_updown", False),
      resample_conv=get("conv_resample", True),
      dropout=get("dropout", 0.0),
    ),
    condition=dict(
      transformer=get("transformer_depth", 1) if transformer else 0,
      context=get("context_dim") or 1,
    ),
  )


def unet(case):
  """The network with a context, what its middle and time embedding give."""
  c, i = case.config, case.inputs
  m, labels = second_stage(c), c.get("num_classes") or 0
  # Their table has no row of its own for "none": ours is their last.
  net = m.net().clone(classes=max(0, labels - 1))
  by_head = not c.get("use_new_attention_order", False)
  params = table.import_tree(unets.network(net, by_head), case.params)
  x, t = nhwc(i["x"]), jnp.asarray(i["t"])
  label = jnp.asarray(i["y"]) if labels else None
  context = jnp.asarray(i["context"]) if net.transformer else None

  def apply(params):
    known = lambda net, _: net.name in ("middle_1", "time_embed")
    options = {"context": context, "capture_intermediates": known}
    return net.apply({"params": params}, x, t, label, **options)

  eps, seen = jax.jit(apply)(params)
  inner = {k: v["__call__"][0] for k, v in seen["intermediates"].items()}
  mid, time = nchw(inner["middle_1"]), inner["time_embed"]
  return {"eps": nchw(eps), "mid": mid, "time_emb": time}


def ddim(case):
  """The path, and the states under recorded outputs of a network."""
  c = case.config
  i = {k: jnp.asarray(v) for k, v in case.inputs.items()}
  m = field.replace(
    ldm.LDM(),
    first_stage={"variant": "none"},
    channels=i["x_T"].shape[-1],  # in whatever layout: there is no network
    noise=dict(
      schedule=SCHEDULES[c["schedule"]],
      times=c["T"],
      beta_start=c["linear_start"],
      beta_end=c["linear_end"],
    ),
    sampling=dict(
      steps=c["S"], eta=c["eta"], guidance=c["guidance_scale"], clip=0.0
    ),
  )
  path, process = m.noise.table(m.sampling), m.noise.process

  def denoise(x, level):
    eps = m.sampling.combine(
      i["eps_cond"][level.index],
      i["eps_uncond"][level.index],
      time=level.time / m.noise.end,
      channels=m.channels,
    )
    return m.noise.output(eps, x, level, channels=m.channels, clip=0.0)

  _, states = sampler.sample(
    path, denoise, x=i["x_T"], noise=i["noise"], callback=sampler.trajectory
  )
  f = lambda x: np.float32(x[::-1])  # ascending, as recorded
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
