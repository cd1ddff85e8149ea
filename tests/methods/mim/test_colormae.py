"""What the card of ColorMAE states exactly, of the method."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.mim import colormae
from jmim.methods.mim import mae

TINY = colormae.ColorMAE.tiny()
KEY = jax.random.key(0)
BATCH = {"image": np.zeros((5, 16, 16, 3), np.float32)}


def with_colours(*names, **changes):
  starts = tuple(range(len(names)))
  return dataclasses.replace(TINY, colours=names, start_steps=starts, **changes)


@pytest.mark.parametrize("colour", ["white", "red", "blue", "green", "purple"])
def test_every_colour_keeps_the_same_count(colour):
  m = with_colours(colour)
  mask = m.mask(m.drawn(KEY, BATCH))
  assert mask.keep.shape == (5, 4)
  np.testing.assert_array_equal(mask.mask.sum(1), 12)


def test_white_windows_are_mae_given_minus_the_noise():
  m = with_colours("white", pattern_size=4)
  draws = m.drawn(KEY, BATCH)
  plain = mae.MAE.tiny()
  for a, b in zip(m.mask(draws), plain.mask(draws), strict=True):
    np.testing.assert_array_equal(a, b)
  # The largest windows are kept, whatever their scale and offset.
  window = -np.asarray(draws["noise"])
  kept = np.take_along_axis(window, np.asarray(m.mask(draws).keep), 1)
  np.testing.assert_array_equal(kept, -np.sort(-window, axis=1)[:, :4])
  other = m.mask({"noise": 3 * draws["noise"] - 7})
  np.testing.assert_array_equal(other.mask, m.mask(draws).mask)


def test_colours_change_at_their_steps():
  m = dataclasses.replace(
    TINY, colours=("white", "red", "blue"), start_steps=(0, 10, 20)
  )
  draw = jax.jit(lambda step: m.drawn(KEY, BATCH, step)["noise"])
  for step, colour in ((0, "white"), (9, "white"), (10, "red"), (30, "blue")):
    expected = with_colours(colour).drawn(KEY, BATCH)["noise"]
    np.testing.assert_allclose(draw(step), expected, atol=1e-5)


def test_a_fixed_bank_gives_slot_b_the_pattern_b_mod_p():
  m = with_colours("green", patterns=2)
  a, b = (
    np.asarray(m.drawn(jax.random.key(k), BATCH)["noise"]) for k in (0, 1)
  )
  crops = np.sort(a[0]), np.sort(a[2])
  # Another block of the bank: another crop of the same pattern.
  assert not np.array_equal(*crops)
  later = np.asarray(m.drawn(jax.random.key(0), BATCH, 7)["noise"])
  np.testing.assert_array_equal(a, later)
  assert not np.array_equal(a, b)
  whole = dataclasses.replace(m, pattern_size=4)
  first, second = (
    np.asarray(whole.drawn(jax.random.key(k), BATCH)["noise"]) for k in (0, 1)
  )
  # Where a window is a whole pattern, draws differ by flips only.
  for row in range(5):
    np.testing.assert_allclose(np.sort(first[row]), np.sort(second[row]))


def test_an_endless_bank_has_no_two_patterns_alike():
  noise = np.asarray(with_colours("green").drawn(KEY, BATCH)["noise"])
  assert np.abs(np.corrcoef(noise) - np.eye(5)).max() < 0.99


def test_rows_come_first_in_the_table_and_tokens_are_not_decayed():
  plain, ours = mae.MAE.tiny(), with_colours("white")
  assert (plain.encoder.order, ours.encoder.order) == ("xy", "yx")
  assert ours.decoder.order == "yx"
  assert ours.groups() == ()


@pytest.mark.parametrize(
  "change, word",
  [
    ({"colours": ("pink",), "start_steps": (0,)}, "pink"),
    ({"start_steps": (1, 2)}, "start_steps"),
    ({"sigma_green": (2.0, 1.0)}, "sigma_green"),
    ({"pattern_size": 3}, "pattern_size"),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(TINY, **change).inputs()


def test_draws_are_jittable_with_a_traced_step():
  draw = jax.jit(lambda k, s: TINY.drawn(k, BATCH, s)["noise"])
  assert jnp.isfinite(draw(KEY, 1)).all()
