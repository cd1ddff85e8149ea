"""A UNet and the code that it is told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.nn.nets import coded
from jmim.nn.nets import unet

SMALL = dict(
  width=8,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(),
  heads=1,
  norm_groups=4,
  dropout=0.0,
  scale_shift=True,
  updown=True,
)
NETS = coded.Coded(
  dims=unet.Dims(**SMALL),
  encoder=unet.Dims(**SMALL),
  width=6,
  side=8,
  references=1,
)
RNG = np.random.default_rng(0)
X, BESIDE = RNG.normal(size=(2, 2, 8, 8, 3)).astype(np.float32)
CODE = RNG.normal(size=(2, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def params():
  shapes = jax.eval_shape(NETS.init, jax.random.key(0))
  rng = np.random.default_rng(1)
  return jax.tree.map(
    lambda s: np.float32(0.3 * rng.normal(size=s.shape)), shapes
  )


@jax.jit
def noise(params, code, beside=BESIDE):
  return NETS.noise(params, X, jnp.array([1.0, 5]), beside=beside, code=code)


def test_without_the_codes_maps_it_has_no_effect(params):
  zero = lambda n, x: np.zeros_like(x) if "/code/" in n else x
  flat = {n: zero(n, x) for n, x in trees.named(params).items()}
  deaf = trees.nested(flat)
  np.testing.assert_array_equal(noise(deaf, CODE), noise(deaf, CODE + 1))
  assert np.abs(noise(params, CODE) - noise(params, CODE + 1)).max() > 1e-3
  # Time is embedded as wide as the code, and every block is told both.
  assert params["net"]["time_embed"]["fc2"]["kernel"].shape == (6, 6)
  assert len([n for n in flat if n.endswith("code/kernel")]) == 10


def test_the_picture_beside_is_seen(params):
  other = noise(params, CODE, BESIDE + 1)
  assert np.abs(noise(params, CODE) - other).max() > 1e-3


def test_a_fresh_one_predicts_nothing():
  made = jax.jit(NETS.init)(jax.random.key(0))
  assert not np.asarray(noise(made, CODE)).any()
  assert np.asarray(jax.jit(NETS.encode)(made, X)).any()


@pytest.mark.parametrize(
  "wrong", [dict(dropout=0.1), dict(time_width=3), dict(scale_shift=False)]
)
def test_what_it_cannot_have(wrong):
  (name,) = wrong
  dims = dataclasses.replace(NETS.dims, **wrong)
  with pytest.raises(ValueError, match=f"dims.{name}"):
    dataclasses.replace(NETS, dims=dims).check()
  NETS.check()
