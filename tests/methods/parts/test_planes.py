import jax
import numpy as np
import pytest

from jmim.methods.parts import planes
from jmim.nn import sizes

SIZE = sizes.Size(width=16, depth=2, heads=2)
DIMS = sizes.Dims(variant="Ti/4", width=16, depth=1, heads=2)


def test_a_patch_must_divide_the_planes():
  planes.Planes(resolution=6, patch=3).check(SIZE, SIZE)
  with pytest.raises(ValueError, match="planes.resolution=6"):
    planes.Planes(resolution=6, patch=4).check(SIZE, SIZE)
  with pytest.raises(ValueError, match="decoder_heads"):
    planes.Planes().check(SIZE, sizes.Size(width=16, depth=2, heads=3))


def test_a_decoder_is_as_wide_as_the_encoder():
  with pytest.raises(ValueError, match="decoder_dims.width=32"):
    planes.Planes().check(SIZE, sizes.Size(width=32, depth=2, heads=2))


def test_the_decoder_has_channels_of_density_and_colours():
  net = planes.Planes(density=2, colours=3, frequencies=1).decoder(SIZE)
  assert (net.channels, net.frequencies, net.size) == (5, 1, SIZE)


def test_images_are_normalised_before_they_are_read():
  part = planes.Planes(
    resolution=4,
    patch=2,
    density=1,
    colours=1,
    mean=(0.5,) * 3,
    std=(0.25,) * 3,
  )
  plain = planes.Planes(mean=(0.0,) * 3, std=(1.0,) * 3)
  nets = part.encoder(DIMS, (8, 12)), part.decoder(SIZE)
  images = np.random.default_rng(0).random((2, 8, 12, 3), np.float32)
  params = part.init(jax.random.key(0), nets, images)
  found = part.latent(params["encoder"], nets[0], images)
  want = plain.latent(params["encoder"], nets[0], (images - 0.5) / 0.25)
  assert found.shape == (2, 1 + 6, 16)
  np.testing.assert_allclose(found, want, atol=1e-6)
  # As the last block leaves them: no norm has made their variance 1.
  assert not np.allclose(np.var(found, axis=-1), 1, atol=0.05)
