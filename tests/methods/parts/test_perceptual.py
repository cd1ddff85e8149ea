import jax
import numpy as np
import pytest

from jmim.methods.parts import perceptual
from jmim.nn.frozen import lpips


@pytest.mark.parametrize("network", ["vgg", "small"])
def test_it_is_the_distance_of_its_network(network):
  part = perceptual.Perceptual(network=network, width=4, path="p", sha256="a")
  const = part.consts("method.perceptual.path")["perceptual"]
  assert (const.path, const.sha256) == ("p", "a")
  assert const.key == "method.perceptual.path"
  shapes = jax.eval_shape(const.init, jax.random.key(0))
  assert ("lin0.model.1.weight" in shapes) == (network == "vgg")
  if network == "vgg":
    return
  consts = {"perceptual": const.init(jax.random.key(0))}
  a, b = np.random.default_rng(0).random((2, 3, 16, 12, 3), np.float32)
  found = part.distance(consts, a, b)
  want = lpips.distance(lpips.small(4), consts["perceptual"], a, b)
  np.testing.assert_array_equal(found, want)
  assert (np.asarray(found) > 0).all()
  # Pixels of an image first, in 0 .. 1; what comes after them is not read.
  rays = [
    np.concatenate([(x + 1) / 2, 0 * x], axis=1)
    for x in (a.reshape(3, -1, 3), b.reshape(3, -1, 3))
  ]
  mean = part.of_views(consts, *rays, sides=(16, 12))
  np.testing.assert_allclose(mean, want.mean(), rtol=1e-5)


def test_without_a_network_there_is_nothing_to_load():
  assert perceptual.Perceptual().consts("k") == {}
