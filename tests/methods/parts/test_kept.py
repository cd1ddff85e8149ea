"""What stays of a picture."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import kept

RNG = np.random.default_rng(0)
normal = lambda *shape: RNG.normal(size=shape).astype(np.float32)
OLD, NEW = np.zeros((2, 1, 12, 12), bool)
OLD[0, 2, 2] = NEW[0, 3, 7] = True


def test_the_mask_is_of_both_places_grown():
  mask = np.asarray(kept.Kept(grow=1).mask(OLD, NEW))
  wanted = np.zeros_like(OLD)
  wanted[0, 1:4, 1:4] = wanted[0, 2:5, 6:9] = True
  np.testing.assert_array_equal(mask, wanted)


def test_states_are_the_sources_outside_of_the_mask():
  mask = np.asarray(kept.Kept(grow=1).mask(OLD, NEW))
  target, source = normal(1, 12, 12, 3), normal(1, 12, 12, 3)
  found = np.asarray(kept.Kept().blended(mask, target, source))
  np.testing.assert_array_equal(found[mask], target[mask])
  np.testing.assert_array_equal(found[~mask], source[~mask])
  free = kept.Kept(blend=False).blended(mask, target, source)
  np.testing.assert_array_equal(free, target)


def test_pixels_outside_of_the_mask_are_the_sources_and_within_a_mixture():
  one = kept.Kept(grow=1, feather=1)
  one.check(2)
  mask = one.finer(one.mask(OLD, NEW), 24)
  assert mask.shape == (1, 24, 24) and mask.sum() == 4 * 18
  target, source = normal(1, 24, 24, 3), normal(1, 24, 24, 3)
  found = np.asarray(one.pasted(mask, jnp.asarray(target), source))
  mask = np.asarray(mask)
  np.testing.assert_array_equal(found[~mask], source[~mask])
  inner = np.asarray(one.finer(jnp.asarray(OLD | NEW), 24))
  np.testing.assert_allclose(found[inner], target[inner], atol=1e-6)
  edge = mask & ~inner
  between = np.minimum(source, target), np.maximum(source, target)
  assert (found >= between[0] - 1e-6)[edge].all()
  assert (found <= between[1] + 1e-6)[edge].all()
  assert (found != target)[edge].any()
  hard = kept.Kept(grow=1, feather=0).pasted(mask, target, source)
  np.testing.assert_allclose(np.asarray(hard)[mask], target[mask], atol=1e-6)
  loose = kept.Kept(paste=False).pasted(mask, target, source)
  np.testing.assert_array_equal(loose, target)


def test_a_paste_that_would_fade_the_thing_is_named():
  with pytest.raises(ValueError, match="kept.feather=2 .* at most 1"):
    kept.Kept(grow=1, feather=2).check(2)
  kept.Kept(grow=1, feather=2, paste=False).check(2)
