"""Arbitrary-scale latent diffusion (zhenshij/arbitrary-scale-diffusion)."""

import dataclasses

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import arbscale as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import targets
from jmim.methods.latent import arbscale
from jmim.methods.latent import autoencoder_inr
from jmim.nn.nets import autoencoder

SKIPPED = {}


def run(case):
  m = first_stage(case.config)
  params = golden_kit.import_tree(
    convert.network(m.net),
    case.params,
    jax.eval_shape(m.net.init, jax.random.key(0)),
  )
  weights = methods.Weights({"main": params})
  found = rendered(case, m, weights)
  found |= diffused(case, m, weights, found["z"])
  images = ("moments", "z", "feat", "z_t", "z0_pred", "y_pred")
  return {
    name: nchw(x) if name in images or name.startswith("img_") else x
    for name, x in found.items()
    if name in case.outputs
  }


def nchw(x):
  return np.moveaxis(np.asarray(x), -1, 1)


def first_stage(config):
  """The autoencoder; theirs counts resolutions, ours factors."""
  c, i = config["ddconfig"], config["liifconfig"]
  factors = [2**n for n in range(len(c["ch_mult"]))]
  kind = "kl" if c["double_z"] else "ae"
  m = field.replace(
    autoencoder_inr.AutoencoderINR(),
    size=c["resolution"],
    channels=c["in_channels"],
    dims=dict(
      variant=f"{kind}-f4",
      width=c["ch"],
      multipliers=tuple(c["ch_mult"]),
      latent=c["z_channels"],
      blocks=c["num_res_blocks"],
      attend_at=tuple(
        f for f in factors if c["resolution"] // f in c["attn_resolutions"]
      ),
      norm_groups=config["group_norm_groups"],
    ),
    implicit=dict(
      hidden=tuple(i["hidden_list"]),
      linear=True,  # also where the list is empty
      cell=i["cell_decode"],
      ensemble=i["local_ensemble"],
      chunk=37,  # rendered in several parts
    ),
  )
  assert config["group_norm_eps"] == 1e-6  # that of `nn.nets.codec`
  return m


def rendered(case, m, weights):
  """Codes, features, colours at places and whole images."""
  i, params = case.inputs, weights.params["main"]
  x = golden_kit.images(i["image"])
  moments = jax.jit(m.net.encode)(params, x)[0]
  z = moments
  if m.net.gaussian:
    z = autoencoder.drawn(moments, golden_kit.images(i["posterior_noise"]))
  features = jax.jit(m.net.features)(params, z)
  place, cell = (jnp.asarray(i[n]) for n in ("coord", "cell"))
  found = {
    "moments": moments,
    "z": z,
    "feat": features,
    "rgb_query": jax.jit(m.net.query)(params, features, place, cell),
  }
  render = jax.jit(m.render, static_argnums=2)
  sides = case.config["output_sizes"]
  return found | {f"img_{n}": render(weights, z, n) for n in sides}


def diffused(case, m, first, z):
  """Noising, the predicted latent, its rendering, both terms by both norms."""
  c, i = case.config, case.inputs
  assert c["beta_schedule"].split()[0] == "linear"  # LDM's, of the roots
  method = field.replace(
    arbscale.ArbScale(),
    noise=dict(
      times=c["timesteps"],
      beta_start=c["linear_start"],
      beta_end=c["linear_end"],
    ),
  )
  t, y = jnp.asarray(i["t"]), golden_kit.images(i["target_image"])
  eps, pred = (golden_kit.images(i[n]) for n in ("noise", "eps_pred"))
  x_t, a, s = method.noise.add(z, t, eps)
  z0 = targets.to_x0("eps", pred, x=x_t, a=a, s=s)
  made = jax.jit(m.render, static_argnums=2)(first, z0, y.shape[1])
  found = {"z_t": x_t, "z0_pred": z0, "y_pred": made}
  for name in ("l1", "l2"):
    kind = dataclasses.replace(method, error=name)
    latent, image = kind.terms(pred - eps, a / s * (y - made))
    found |= {f"align_latent_{name}": latent, f"align_image_{name}": image}
  return found
