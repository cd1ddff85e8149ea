"""Images restored by a small diffusion model, from an estimate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import difface

TINY = field.replace(difface.DifFace.tiny(), holes=dict(sides=(0.3, 0.6)))
KEY = jax.random.key(3)
B = 4


@pytest.fixture(scope="module")
def weights():
  shapes = jax.eval_shape(lambda k: TINY.init(k, {})[0], jax.random.key(0))
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda s: (0.1 * rng.normal(size=s.shape)).astype(np.float32), shapes
  )
  consts = {n: jax.jit(c.init)(KEY) for n, c in TINY.consts().items()}
  return methods.Weights(params, consts=consts)


@pytest.fixture(scope="module")
def batch(normal):
  index = jnp.arange(10, 10 + B)
  return {"image": jnp.tanh(normal(B, 8, 8, 3)), "index": index}


@pytest.fixture(scope="module")
def restore():
  return jax.jit(TINY.predict()["restore"])


@pytest.fixture(scope="module")
def found(restore, weights, batch):
  return restore(weights, batch, KEY)


def test_known_pixels_are_kept_and_others_made(found, weights, batch):
  missing = np.asarray(found["input"]).max(-1, keepdims=True) == -1
  assert missing.any((1, 2, 3)).all() and not missing.all()
  kept = np.broadcast_to(~missing, found["image"].shape)
  image, low = (np.asarray(found[name]) for name in ("image", "input"))
  np.testing.assert_allclose(image[kept], low[kept], atol=1e-6)
  assert np.abs(image - low)[~kept].max() > 1e-2
  np.testing.assert_array_equal(found["target"], batch["image"])
  assert np.abs(image).max() <= 1


def test_noise_and_what_is_spoilt_belong_to_the_image(
  found, restore, weights, batch
):
  turned = {name: x[::-1] for name, x in batch.items()}
  again = restore(weights, turned, KEY)
  for name in ("image", "input"):
    np.testing.assert_allclose(again[name][::-1], found[name], atol=1e-5)
  # Evaluators hand out no places in the data set.
  other = restore(weights, batch | {"index": batch["index"] + 1}, KEY)
  for name in ("image", "input"):
    np.testing.assert_array_equal(other[name], found[name])
  key = restore(weights, batch, jax.random.key(4))
  np.testing.assert_array_equal(key["input"], found["input"])
  assert np.abs(key["image"] - found["image"]).max() > 1e-3


def test_from_the_start_0_it_is_the_estimate_with_known_pixels(weights, batch):
  m = field.replace(TINY, contraction=dict(start=0))
  run = jax.jit(
    lambda *args: [m.predict()[n](*args) for n in ("restore", "estimate")]
  )
  made, z = run(weights, batch, KEY)
  missing = np.asarray(made["input"]).max(-1, keepdims=True) == -1
  inside = np.broadcast_to(missing, made["image"].shape)
  image, estimate = np.asarray(made["image"]), np.asarray(z["image"])
  np.testing.assert_allclose(image[inside], estimate[inside], atol=1e-6)
  assert (np.abs(image - estimate)[~inside] > 1e-3).any()


def test_without_a_restorer_nothing_is_restored():
  m = field.replace(TINY, restorer=dict(host=dict(path="")))
  assert set(m.predict()) == {"errors", "sample"} and m.consts() == {}
  assert {"estimate", "restore"} <= set(TINY.predict())
