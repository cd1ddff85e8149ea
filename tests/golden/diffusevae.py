"""DiffuseVAE (kpandey008/DiffuseVAE): the VAE, and both forms, sampled."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import diffusevae as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.methods.latent import diffusevae
from jmim.methods.latent import diffusevae_vae

SKIPPED = {}
VARIANCES = {"fixedlarge": "large", "fixedsmall": "small"}


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def vae(config):
  """The first stage."""
  dims = dict(
    encoder=config["enc_block_config"],
    encoder_widths=config["enc_channel_config"],
    decoder=config["dec_block_config"],
    decoder_widths=config["dec_channel_config"],
  )
  return field.replace(diffusevae_vae.VAE(), size=config["res"], dims=dims)


def refiner(config, form, kind):
  """The second stage of a form, sampled by ddpm or ddim."""
  guidance = 1 + config["guidance_weight"]
  return field.replace(
    diffusevae.DiffuseVAE(),
    size=config["res"],
    coarse=dict(form=form, drop=0.1 if guidance != 1 else 0.0),
    noise=dict(
      schedule="linear",
      times=config["T"],
      beta_start=config["beta_1"],
      beta_end=config["beta_2"],
      variance=VARIANCES[config["variance"]],
    ),
    sampling=dict(sampler=kind, steps=config["steps"], guidance=guidance),
  )


def run(case):
  i = {k: golden_kit.images(v) for k, v in case.inputs.items() if v.ndim == 4}
  first = vae(case.config)
  params = {"main": table.import_tree(convert.first(first), case.params)}
  weights, batch = methods.Weights(params), {"image": i["x"]}
  draws = {"noise": i["eps_z"]}
  _, terms = jax.jit(first.loss)(weights, batch, draws, 0)
  moments = first.moments(weights, batch, None)
  mean, log_var = jnp.split(moments, 2, axis=-1)
  frozen = {"vae": params["main"]}
  out = {
    "mu": nchw(mean),
    "logvar": nchw(log_var),
    "recon_loss": terms["reconstruction"],
    "kl": terms["kl"],
  }
  for form in (1, 2):
    m = field.replace(
      refiner(case.config, form, "ddpm"), coarse={"dims": vars(first.dims)}
    )
    held = methods.Weights({}, consts=frozen)
    code = m.coarse.encode(held, 2 * i["x"] - 1, i["eps_z"])
    shown, none = m.coarse.guiding(held, code)
    out["recon"] = nchw((shown["image"] + 1) / 2)
    u, _, _ = m.noise.add(
      2 * i["x"] - 1, jnp.asarray(case.inputs["t"]), i["eps"]
    )
    out[f"form{form}_xt"] = nchw(m.coarse.state(u, shown))
    for kind in ("ddpm", "ddim"):
      made = sampled(case, form, kind, shown=(shown, none))
      out |= {f"form{form}_{kind}_{k}": nchw(x) for k, x in made.items()}
  return {name: x for name, x in out.items() if name in case.outputs}


def sampled(case, form, kind, shown):
  """x after the first step, and what is left of the last."""
  m, inputs = refiner(case.config, form, kind), case.inputs
  m.noise.check(m.sampling)
  cond, null, noise = (
    jnp.asarray(einops.rearrange(inputs[name], "n b c h w -> n b h w c"))
    for name in ("net_eps", "net_eps_null", "step_noise")
  )
  noise = jnp.broadcast_to(noise[:, :1], noise.shape)  # shared by the batch
  level = m.noise.table(m.sampling).level

  def network(u, t, beside):
    """What was recorded; with guidance of both conditions, in one batch."""
    del u, beside
    at = jnp.argmin(jnp.abs(jnp.asarray(level.time) - t[0]))
    recorded = (cond[at], null[at]) if m.sampling.guidance != 1 else (cond[at],)
    return jnp.concatenate(recorded)

  def output(raw, x, level):
    options = {"channels": x.shape[-1], "clip": m.sampling.clip}
    return m.noise.output(raw, x, level, reproject=False, **options)

  denoise = m.sampling.denoiser(
    network, output, condition=shown, end=m.noise.end, channels=cond.shape[-1]
  )
  start = golden_kit.images(inputs["x_T"])
  last, states = sampler.sample(
    m.noise.table(m.sampling),
    denoise,
    start,
    noise,
    callback=sampler.trajectory,
  )
  return {"first": m.coarse.state(states["x"][0], shown[0]), "last": last}
