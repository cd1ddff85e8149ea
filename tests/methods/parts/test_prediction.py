"""Every kind means the same: its own target leads back to the data."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import prediction

NOISE = gaussian.Gaussian(schedule="cosine", times=20)
M, C = 6, 4


def drawn(normal):
  return {"t": np.arange(0, 18, 3), "noise": normal(M, C, seed=1)}


def right(kind, x, draws):
  """What should be predicted, written out; d = 0.5."""
  p = np.asarray(NOISE.process.power)[draws["t"]][:, None]
  a, s, eps = np.sqrt(p), np.sqrt(1 - p), draws["noise"]
  size = np.sqrt(s**2 + a**2 / 4)
  return {
    "eps": eps,
    "x0": x,
    "v": a * eps - s * x,
    "edm": (s * x - a * eps / 4) / (0.5 * size),
  }[kind]


@pytest.mark.parametrize("kind", prediction.KINDS)
def test_the_right_prediction_has_no_error(normal, kind):
  x, draws = normal(M, C), drawn(normal)
  part = prediction.Prediction(kind=kind)
  raw = right(kind, x, draws)
  errors = part.errors(NOISE, raw, x, draws)
  np.testing.assert_allclose(errors["mse"], 0, atol=1e-8)
  again = part.errors(NOISE, raw + 2, x, draws)
  np.testing.assert_allclose(again["mse"], 4, rtol=1e-4)


@pytest.mark.parametrize("kind", prediction.KINDS)
def test_a_sampler_gets_the_data(normal, kind):
  x, draws = normal(M, C), drawn(normal)
  part = prediction.Prediction(kind=kind)
  table = NOISE.table(guided.Guided(sampler="ddim", steps=20))
  raw = right(kind, x, draws)
  for row, t in enumerate(draws["t"]):
    call = 19 - t
    level = type(table.level)(
      *(
        tuple(jnp.float32(f[call]) for f in field)
        if isinstance(field, tuple)
        else jnp.float32(field[call])
        for field in table.level
      )
    )
    x_t = level.signal * x[row] + level.noise * draws["noise"][row]
    out = part.output(NOISE, raw[row][None], x_t[None], level)
    np.testing.assert_allclose(out.x0[0], x[row], rtol=1e-3, atol=1e-3)
    eps = draws["noise"][row]
    np.testing.assert_allclose(out.eps[0], eps, rtol=1e-2, atol=1e-2)


def test_edm_s_network_sees_unit_variance():
  part = prediction.Prediction(kind="edm", data_std=0.5)
  rng = np.random.default_rng(0)
  x = 0.5 * rng.normal(size=(8000, 1))
  for t in (0, 8, 16):
    draws = {"t": np.full(8000, t), "noise": rng.normal(size=x.shape)}
    seen = part.noised(NOISE, x, draws)
    assert abs(seen.std() - 1) < 0.03
  plain = prediction.Prediction(kind="v")
  x_t, _, _ = NOISE.add(x, draws["t"], draws["noise"])
  np.testing.assert_array_equal(plain.noised(NOISE, x, draws), x_t)


def test_a_learned_variance_is_beside_the_noise_only():
  learned = gaussian.Gaussian(learn_variance=True)
  prediction.Prediction().check(learned)
  with pytest.raises(ValueError, match="prediction.kind='x0'"):
    prediction.Prediction(kind="x0").check(learned)
