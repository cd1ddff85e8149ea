import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import autoencoder_vq
from jmim.training import microbatch

B = 2
VQ = field.replace(
  autoencoder_vq.AutoencoderVQ(size=8),
  dims=dict(width=4, multipliers=(1, 2), blocks=1),
  losses=dict(disc_layers=1, disc_width=4, disc_start=3),
  codebook=dict(codes=6),
)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {"image": rng.uniform(-1, 1, (B, 8, 8, 3)).astype(np.float32)}


def averaged(codes):
  return field.replace(VQ, codebook=dict(codes=codes, ema=0.5, restart=0.1))


def test_codes_of_moving_averages_are_extra_state(batch):
  method = averaged(6)
  params, extra = jax.jit(method.init)(jax.random.key(0), batch)
  assert "codes" not in params["autoencoder"]
  draws = method.drawn(jax.random.key(1), batch)
  weights = methods.Weights(params, extra)
  _, aux = jax.jit(method.loss)(weights, batch, draws, 0)
  new = method.after(weights, aux, 0, player="autoencoder")
  used = np.asarray(aux["count"]) > 0
  moved = np.abs(new["codes"] - extra["codes"]).max(1) > 0
  np.testing.assert_array_equal(moved, used)
  assert method.after(weights, {}, 0, player="discriminator") is extra
  assert draws["pick"].max() < B * 16


@pytest.mark.parametrize("codes", [6, 8])
def test_restarts_are_vectors_of_the_batch_under_accumulation(codes):
  """Also with as many codes as examples, which once were cut like them."""
  rng, b = np.random.default_rng(0), 8
  method = averaged(codes)
  batch = {"image": rng.uniform(-1, 1, (b, 8, 8, 3)).astype(np.float32)}
  params, extra = jax.jit(method.init)(jax.random.key(0), batch)
  weights = methods.Weights(params, extra)
  draws = method.drawn(jax.random.key(1), batch)
  microbatch.check(draws, b, method.shared)
  z = np.asarray(jax.jit(method.moments)(weights, batch, None)).reshape(-1, 3)
  run = jax.jit(lambda x, d: method.loss(weights, x, d, 0)[1])
  parts = zip(
    microbatch.split(batch, 2),
    microbatch.split(draws, 2, method.shared),
    strict=True,
  )
  aux = jax.tree.map(lambda *x: sum(x) / 2, *[run(x, d) for x, d in parts])
  dead = {**extra, "used": jnp.zeros(codes)}
  aux["count"] = 0 * aux["count"]
  new = method.after(
    methods.Weights(params, dead), aux, 0, player="autoencoder"
  )
  np.testing.assert_allclose(
    new["codes"], z[draws["pick"]], rtol=1e-5, atol=1e-6
  )
