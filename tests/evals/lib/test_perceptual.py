import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals.lib import perceptual
from jmim.metrics import restoration
from jmim.nn.frozen import lpips


def test_without_weights_there_is_no_distance():
  assert perceptual.load("", "") == (None, {})


def test_a_file_is_known_by_its_hash(tmp_path):
  path = tmp_path / "lpips.npz"
  np.savez(path, x=np.zeros(1))
  right = hashlib.sha256(path.read_bytes()).hexdigest()
  _, details = perceptual.load(str(path), right)
  assert details == {"lpips_weights": f"sha256:{right}"}
  with pytest.raises(errors.UserError, match="sha256"):
    perceptual.load(str(path), "0" * 64)


def test_both_networks_read_their_own_weights(tmp_path, monkeypatch):
  """Of VGG's kind, small here: the distance that `nn.frozen.lpips` gives."""
  layers = lpips.small(4)
  monkeypatch.setitem(restoration.NETWORKS, "vgg", layers)
  arrays = lpips.random(jax.random.key(0), layers)
  path = tmp_path / "small.npz"
  np.savez(path, **arrays)
  distance, _ = perceptual.load(str(path), "", "vgg")
  a, b = np.random.default_rng(0).random((2, 3, 16, 12, 3), np.float32)
  found = distance(a, b)
  want = lpips.distance(layers, arrays, 2 * jnp.asarray(a) - 1, 2 * b - 1)
  np.testing.assert_allclose(found, want, rtol=1e-5)
  assert (np.asarray(found) > 0).all()
