"""The losses of VA-VAE on options that the given case leaves out."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.convert import table

CONFIG = {
  "z_channels": 3,
  "feature_dim": 5,
  "reverse_proj": False,
  "cos_margin": 0.2,
  "distmat_margin": 0.05,
  "adaptive_vf": True,
  "vf_weight": 0.3,
  "distmat_weight": 0.5,
  "cos_weight": 2.0,
  "disc_start": 9,
  "global_step": 4,
  "logvar": -0.1,
  "kl_weight": 1e-3,
  "disc_weight": 0.8,
  "disc_num_layers": 1,
  "disc_ndf": 4,
  "perceptual_weight": 0.0,
}


def case(module, config):
  """Random weights and inputs; a stride of 2."""
  m, c, w = module.aligned(config), config["z_channels"], config["feature_dim"]
  image = jnp.zeros((1, 8, 8, 3))
  critic = jax.eval_shape(m.losses.critic.init, jax.random.key(0), image)
  leaf = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.float32)
  own = jax.eval_shape(
    lambda key: m.alignment.init(key, c, w), jax.random.key(0)
  )
  shapes = {
    "autoencoder": {
      "enc": {"kernel": leaf(2, 2, 3, 2 * c), "bias": leaf(2 * c)},
      "last": {"kernel": leaf(3, 3, c, 3), "bias": leaf(3)},
      "map": own,
    },
    "discriminator": critic["params"],
  }
  params = golden_kit.weights(shapes, scale=0.4)
  inputs = {
    "x": golden_kit.normal(2, 3, 8, 8),
    "aux": golden_kit.normal(2, w, 4, 4, seed=1),
    "eps": golden_kit.normal(2, c, 4, 4, seed=2),
  }
  held = table.export_tree(module.rules(m), params)
  return golden_kit.Asked(config, inputs, held)


def terms(config, params, inputs):
  """nll, kl, L of the authors' names, by hand: a function of enc and proj."""
  x, f, eps = (inputs[n] for n in ("x", "aux", "eps"))

  def call(enc, proj):
    moments = jnp.einsum("bchpwq,ocpq->bohw", x.reshape(2, 3, 4, 2, 4, 2), enc)
    mean, var = jnp.split(moments + params["enc.bias"][:, None, None], 2, 1)
    z = mean + jnp.exp(var / 2) * eps
    big = jnp.pad(z.repeat(2, 2).repeat(2, 3), ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = lambda i, j: big[:, :, i : i + 8, j : j + 8]
    weight = params["dec.weight"]
    made = sum(
      jnp.einsum("bchw,oc->bohw", rows(i, j), weight[:, :, i, j])
      for i in range(3)
      for j in range(3)
    )
    made += params["dec.bias"][:, None, None]
    s = config["logvar"]
    nll = (jnp.abs(x - made) * np.exp(-s) + s).sum() / 2
    kl = 0.5 * (mean**2 + jnp.exp(var) - 1 - var).sum() / 2
    a, b = z, f
    own = lambda v: jnp.einsum("bchw,oc->bohw", v, proj[:, :, 0, 0])
    if config["reverse_proj"]:
      a = own(a)
    else:
      b = own(b) + params["proj.bias"][:, None, None]
    a, b = (einops.rearrange(v, "b c h w -> b (h w) c") for v in (a, b))
    a, b = (v / jnp.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    gap = jnp.abs(a @ a.swapaxes(1, 2) - b @ b.swapaxes(1, 2))
    far = jnp.maximum(gap - config["distmat_margin"], 0).mean()
    near = 1 - config["cos_margin"] - (a * b).sum(-1)
    near = jnp.maximum(near, 0).mean()
    vf = config["distmat_weight"] * far + config["cos_weight"] * near
    return nll, kl, vf

  return call


@pytest.mark.parametrize(
  "changes",
  [
    {},
    {"reverse_proj": True, "adaptive_vf": False},
    {"reverse_proj": True, "cos_margin": 0.0, "distmat_margin": 0.0},
  ],
)
def test_every_term_weight_and_gradient_is_that_of_the_definition(changes):
  module, config = golden_kit.adapter("lightningdit"), {**CONFIG, **changes}
  asked = case(module, config)
  found = module.run(asked)
  enc, proj = asked.params["enc.weight"], asked.params["proj.weight"]
  call = terms(config, asked.params, asked.inputs)
  nll, kl, vf = call(enc, proj)
  by_enc, by_proj = (jax.jacrev(call, i)(enc, proj) for i in (0, 1))
  norm = lambda g: np.sqrt((np.asarray(g) ** 2).sum())
  weight = config["vf_weight"]
  if config["adaptive_vf"]:
    weight *= norm(by_enc[0]) / (norm(by_enc[2]) + 1e-4)
  expected = {
    "nll_loss": nll,
    "kl_loss": kl,
    "vf_loss": vf,
    "vf_weight": weight,
    "total": nll + config["kl_weight"] * kl + weight * vf,  # no critic yet
    "grad_enc_weight": by_enc[0]
    + config["kl_weight"] * by_enc[1]
    + weight * by_enc[2],
    "grad_proj_weight": weight * by_proj[2],
  }
  for name, want in expected.items():
    scale = np.abs(want).max()
    np.testing.assert_allclose(
      found[name], want, rtol=1e-4, atol=1e-4 * scale, err_msg=name
    )


def test_a_critic_adds_itself_from_its_start_on():
  module = golden_kit.adapter("lightningdit")
  found = [
    module.run(case(module, {**CONFIG, "global_step": step})) for step in (8, 9)
  ]
  added = found[1]["d_weight"] * found[1]["g_loss"]
  assert abs(added) > 1e-3
  np.testing.assert_allclose(
    found[1]["total"] - found[0]["total"], added, atol=1e-3
  )
  gap = np.abs(found[1]["grad_enc_weight"] - found[0]["grad_enc_weight"])
  assert gap.max() > 1e-3
