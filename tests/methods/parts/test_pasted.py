import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import pasted

B, H = 5, 12
RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.normal(size=(B, H, H, 3)), "f4")
MAPS = jnp.asarray(RNG.integers(0, 4, (B, H, H)))
NUMBER = jnp.broadcast_to(jnp.arange(B)[:, None, None], (B, H, H))
IGNORE = 9
ALL = pasted.Pasted(warp=1.0, occlude=1.0, splice=1.0)


def draws_of(part, seed=0):
  return part.draw(randomness.Keys(jax.random.key(seed)), B)


def only(**shares):
  return dataclasses.replace(pasted.Pasted(), **shares)


def changed(part, images=IMAGES, maps=MAPS, seed=0):
  draws = draws_of(part, seed)
  return part.apply(images, maps, draws, ignore=IGNORE), draws


def test_only_what_has_a_share_is_drawn():
  assert draws_of(pasted.Pasted()) == {}
  names = {n: x.shape for n, x in draws_of(only(splice=0.5)).items()}
  assert names == {"splice": (B,), "grid": (B,), "others": (B, 9)}
  assert len(draws_of(ALL)) == 8


def test_a_share_of_the_batch_is_changed_and_the_rest_stays():
  part = only(splice=0.5)
  (images, maps), draws = changed(part)
  kept = np.asarray(draws["splice"] >= 0.5)
  assert 0 < kept.sum() < B
  np.testing.assert_array_equal(images[kept], IMAGES[kept])
  np.testing.assert_array_equal(maps[kept], MAPS[kept])
  assert (np.asarray(images != IMAGES).any((1, 2, 3)) == ~kept).all()


def test_images_and_maps_move_together():
  """A map that is the image's own first channel stays so."""
  own = jnp.asarray(RNG.integers(0, 9, (B, H // 3, H // 3)))
  own = own.repeat(3, 1).repeat(3, 2)
  both = jnp.repeat(own[..., None].astype("f4"), 3, -1)
  for share in ("occlude", "splice"):
    (images, maps), _ = changed(only(**{share: 1.0}), both, own)
    same = np.asarray(images[..., 0] == maps)
    assert same.mean() > (0.999 if share == "occlude" else 0.6), share
  # Nearest and bilinear agree where all around is alike.
  (images, maps), _ = changed(only(warp=1.0), both, own)
  assert (np.asarray(images[..., 0] == maps) | (maps == IGNORE)).mean() > 0.3


def test_tiles_are_whole_pictures_of_others():
  part = dataclasses.replace(only(splice=1.0), grids=((2, 3),))
  flat = jnp.repeat(NUMBER[..., None].astype("f4"), 3, -1)
  (images, maps), draws = changed(part, flat, NUMBER)
  others = np.floor(np.asarray(draws["others"]) * B)
  assert others.shape == (B, 6) and len(np.unique(others)) > 2
  wanted = others.reshape(B, 2, 3).repeat(6, 1).repeat(4, 2)
  np.testing.assert_array_equal(maps, wanted)
  np.testing.assert_allclose(images[..., 0], wanted)


def test_a_tile_of_two_by_two_is_the_mean_of_its_pixels():
  part = dataclasses.replace(only(splice=1.0), grids=((2, 2),))
  (images, maps), draws = changed(part)
  first = np.floor(np.asarray(draws["others"])[:, 0] * B).astype(int)
  small = np.asarray(IMAGES)[first].reshape(B, 6, 2, 6, 2, 3).mean((2, 4))
  np.testing.assert_allclose(images[:, :6, :6], small, atol=1e-6)
  np.testing.assert_array_equal(maps[:, :6, :6], MAPS[first][:, 1::2, 1::2])


def test_a_box_of_one_other_lies_over_a_picture():
  part = only(occlude=1.0)
  (_, maps), draws = changed(part, maps=NUMBER)
  for i in range(B):
    other = int(draws["other"][i] * B)
    rows, columns = np.nonzero(np.asarray(maps[i]) == other)
    assert set(np.unique(maps[i])) <= {i, other}
    if other != i:
      sides = [1 + np.ptp(rows), 1 + np.ptp(columns)]
      assert len(rows) == np.prod(sides)
      assert all(0.1 * H <= side <= 0.4 * H + 1 for side in sides)


def test_perspective_leaves_what_was_outside_unknown():
  (images, maps), _ = changed(only(warp=1.0))
  unknown = np.asarray(maps == IGNORE)
  assert 0 < unknown.mean() < 0.5
  assert unknown[:, [0, -1]].mean() > unknown[:, 4:8, 4:8].mean() == 0
  assert np.isfinite(images).all()


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(box=(0.4, 0.1)), "pasted.box"),
    (dict(box=(0.5,)), "pasted.box"),
    (dict(grids=()), "pasted.grids"),
    (dict(grids=((0, 2),)), "pasted.grids"),
  ],
)
def test_sizes_that_make_no_picture(fields, said):
  with pytest.raises(ValueError, match=said):
    dataclasses.replace(ALL, **fields).check()
