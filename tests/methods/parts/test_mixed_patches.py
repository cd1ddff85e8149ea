import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.methods.parts import mixed_patches

PART = field.replace(
  mixed_patches.MixedPatches(),
  backbone=dict(width=16, depth=2, head=8, multiple=8, experts=2),
  mixer=dict(depth=1, width=8),
)
SHAPE = (8, 8, 3)


def test_every_patch_has_a_score_of_its_own():
  draws = PART.draw(randomness.Keys(jax.random.key(0)), (3, *SHAPE))
  assert draws["mask"].shape == (3, PART.count(SHAPE)) == (3, 16)
  assert len(np.unique(draws["mask"])) == 48


def test_parameters_do_not_depend_on_the_side():
  """What lets a run go on at twice the side: positions are no parameter."""

  def shapes(part, side):
    made = jax.eval_shape(
      lambda key: part.init(key, (side, side, 3), (4, 6)), jax.random.key(0)
    )
    return jax.tree.map(lambda x: x.shape, made)

  finer = field.replace(PART, position_scale=2.0)
  assert shapes(PART, 8) == shapes(finer, 16)
  assert finer.net((16, 16, 3)).step == 0.5
  wide = field.replace(PART, mixer=dict(width=0))
  assert wide.net(SHAPE).mixer_width == 16
  assert shapes(wide, 8) != shapes(PART, 8)


@pytest.mark.parametrize(
  "side, ratio, words",
  [
    (7, 0.5, "size 7 does not divide by net.patch 2"),
    (8, 0.99, "mask_ratio 0.99 keeps none of 16"),
  ],
)
def test_what_cannot_be_built_is_refused(side, ratio, words):
  PART.check(8, 0.75, "net")
  with pytest.raises(ValueError, match=words):
    PART.check(side, ratio, "net")
