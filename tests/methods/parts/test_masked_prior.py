import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.methods.parts import masked_prior

SHAPE = (2, 16, 16, 3)
PRIOR = field.replace(
  masked_prior.MaskedPrior(),
  dims=dict(variant="Ti/4", width=8, depth=1, heads=2),
)
APART = field.replace(PRIOR, shared_mask=False)


@pytest.fixture(scope="module")
def made(fill):
  images = np.random.default_rng(0).random(SHAPE).astype(np.float32)
  net = masked_prior.encoder(PRIOR.dims, 16, PRIOR.rt)
  return images, fill(net, images)["params"]


def test_equal_images_are_apart_only_under_masks_of_their_own(made):
  """What the released code compares are tokens of different places."""
  images, params = made
  found = {}
  for name, prior in (("shared", PRIOR), ("apart", APART)):
    draws = prior.draw(randomness.Keys(jax.random.key(0)), SHAPE)
    assert set(draws) == ({"made"} if name == "shared" else {"made", "truth"})
    found[name] = jax.jit(prior.distance)(params, images, images, draws)
  assert found["shared"] == 0 and found["apart"] > 0.1


def test_features_are_of_the_shown_patches_and_the_class_token(made):
  images, params = made
  scores = np.tile(np.arange(16.0), (2, 1))
  out = jax.jit(PRIOR.features)(params, images, scores)
  assert out.shape == (2, 5, 8)  # a fourth of 16, and one
  other = images.copy()
  other[:, 4:] = 0.0  # patches 4 .. 15, which are hidden
  np.testing.assert_array_equal(
    jax.jit(PRIOR.features)(params, other, scores), out
  )


def test_one_with_other_heads_is_refused(refused):
  """A size that is named has heads, too."""
  named = field.replace(PRIOR, dims=dict(variant="S/4", width=0, heads=0))
  make = lambda path: field.replace(named, path=path).const(16)
  told = lambda heads: {"dims": dict(variant="S/4", heads=heads)}
  assert refused(make, told(6)) == "" == refused(make, told(0))
  assert refused(make, told(12)) == "method.prior.dims.heads"
