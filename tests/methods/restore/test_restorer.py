import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import restorer

B = 3
TINY = field.replace(restorer.Restorer.tiny(), holes=dict(sides=(0.3, 0.6)))
PLAIN = field.replace(TINY, holes=dict(boxes=0))


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": np.clip(0.5 + 0.2 * normal(B, 8, 8, 3), 0, 1)}


def weights(m, batch):
  return methods.Weights(jax.jit(m.init)(jax.random.key(0), batch)[0])


@pytest.mark.parametrize("error", ["l1", "l2"])
def test_an_error_weighs_what_its_side_of_a_hole_does(error, batch):
  m = field.replace(TINY, error=error, holes=dict(known=3.0, missing=0.5))
  held, draws = weights(m, batch), m.drawn(jax.random.key(1), batch)

  @jax.jit
  def run(draws):
    low, _ = m.degraded.pair(batch, draws, (0.0, 1.0))
    shown = m.holes.cut(low, draws)
    loss, _ = m.loss(held, batch, draws, 0)
    return shown, m.network(held.params, shown), loss

  shown, made, loss = run(draws)
  away = np.asarray(made - batch["image"])
  away = np.abs(away) if error == "l1" else away**2
  hole = np.asarray(shown[..., 3:])
  assert set(np.unique(hole)) == {0, 1}
  expected = (away * np.where(hole == 1, 0.5, 3.0)).mean()
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  assert np.abs(np.asarray(shown[..., :3]) * hole).max() == 0


def test_what_is_restored_is_cut_and_has_the_known_pixels(batch):
  held = weights(TINY, batch)
  loud = jax.tree.map(lambda x: 3 * x, held.params)
  out = jax.jit(TINY.restore)(methods.Weights(loud), batch, None)
  image, low = np.asarray(out["image"]), np.asarray(out["input"])
  assert image.min() >= 0 and image.max() <= 1
  np.testing.assert_array_equal(out["target"], batch["image"])
  numbers = TINY.degraded.numbers(batch, (0.0, 1.0))
  shown = TINY.holes.fixed(jnp.ones((B, 8, 8, 3)), numbers)
  kept = np.broadcast_to(np.asarray(shown[..., 3:]) == 0, image.shape)
  np.testing.assert_array_equal(image[kept], low[kept])
  assert (low[~kept] == 0).all() and (image[~kept] > 0).any()


def test_a_smaller_image_is_enlarged(batch):
  m = field.replace(PLAIN, degraded=dict(degradation="bicubic", factor=2))
  assert m.low_shape == (4, 4, 3) and set(m.inputs()) == {"image"}
  out = jax.jit(m.restore)(weights(m, batch), batch, None)
  assert out["image"].shape == (B, 8, 8, 3)
  assert out["input"].shape == (B, 4, 4, 3)
  assert m.drawn(jax.random.key(0), batch) == {}


def test_pairs_are_read_as_they_are(batch):
  m = field.replace(PLAIN, degraded=dict(degradation="pairs"))
  assert set(m.inputs()) == {"pair"}
  low = 1 - batch["image"]
  pair = {"pair": np.stack([low, batch["image"]], 1)}
  out = m.restore(weights(m, batch), pair, None)
  np.testing.assert_array_equal(out["input"], low)
  np.testing.assert_array_equal(out["target"], batch["image"])


def test_a_network_that_does_not_fit_is_refused():
  kinds = restorer.Restorer.__dataclass_fields__["net"].metadata["parts"]
  net = dataclasses.replace(kinds["swinir"], width=7)
  with pytest.raises(ValueError, match="net.width=7 over net.heads=6"):
    dataclasses.replace(TINY, net=net).inputs()


def test_a_smaller_image_has_no_known_pixels():
  m = field.replace(TINY, degraded=dict(degradation="bicubic", factor=2))
  with pytest.raises(ValueError, match="holes.boxes=1 with degraded.factor=2"):
    m.inputs()
