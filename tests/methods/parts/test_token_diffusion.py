import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import token_diffusion

NOISE = gaussian.Gaussian(
  schedule="cosine", times=20, variance="learned", learn_variance=True
)
HEAD = token_diffusion.Head(width=8, depth=1, repeat=3)
MEAN = token_diffusion.Head(width=8, depth=1, kind="regression")
B, N, C, D = 2, 4, 3, 5


def filled(head, seed=0):
  rng = np.random.default_rng(seed)
  params = jax.eval_shape(
    lambda k: head.init(k, NOISE, D, C), jax.random.key(0)
  )
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(s.dtype)
  return jax.tree.map(fill, params)


def drawn(head):
  return head.draw(randomness.Keys(jax.random.key(1)), NOISE, (B, N, C))


def test_a_fresh_head_predicts_no_noise(normal):
  params = HEAD.init(jax.random.key(0), NOISE, D, C)
  x, z, draws = normal(B, N, C), normal(B, N, D, seed=1), drawn(HEAD)
  errors = HEAD.errors(params, NOISE, z, x, draws=draws)
  expected = (draws["noise"] ** 2).mean(-1)
  assert expected.shape == (B, 3, N)
  np.testing.assert_allclose(errors["mse"], expected, rtol=1e-5)
  assert abs(errors["mse"].mean() - 1) < 0.5


def test_each_token_and_repetition_is_on_its_own(normal):
  params = filled(HEAD)
  x, z, draws = normal(B, N, C), normal(B, N, D, seed=1), drawn(HEAD)
  whole = HEAD.errors(params, NOISE, z, x, draws=draws)
  one = {k: v[1:, 2:3, 3:] for k, v in draws.items()}
  alone = HEAD.errors(params, NOISE, z[1:, 3:], x[1:, 3:], draws=one)
  for name, term in alone.items():
    np.testing.assert_allclose(term[0, 0, 0], whole[name][1, 2, 3], rtol=1e-4)


def test_a_regression_is_its_own_sample(normal):
  params, z, x = filled(MEAN), normal(B, N, D), normal(B, N, C, seed=1)
  assert drawn(MEAN) == {}
  made = MEAN.sample(
    params, NOISE, z, null=None, scale=1.0, table=None, normal=None, numbers=C
  )
  error = MEAN.errors(params, NOISE, z, x, draws={})["mse"]
  np.testing.assert_allclose(error[:, 0], ((made - x) ** 2).mean(-1), rtol=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_guidance_mixes_the_noise_not_the_variance(normal, scale):
  params, z, null = filled(HEAD), normal(6, D), normal(6, D, seed=1)
  x = normal(6, C, seed=2)
  table = NOISE.table(guided.Guided(sampler="ddpm", steps=4))
  level = jax.tree.map(lambda a: jnp.float32(a[1]), table.level)
  out = HEAD.denoiser(params, NOISE, z, null, scale=scale)(x, level)
  t = jnp.full(6, level.time)
  a, b = (HEAD.predict(params, NOISE, c, x, t=t) for c in (z, null))
  raw = b[:, :C] + scale * (a[:, :C] - b[:, :C])
  np.testing.assert_allclose(out.eps, raw, atol=1e-5)
  alone = HEAD.denoiser(params, NOISE, z, None, scale=scale)(x, level)
  np.testing.assert_allclose(out.log_var, alone.log_var, atol=1e-5)
