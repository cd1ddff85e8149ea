import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import clip_choice

PART = clip_choice.ClipChoice(length=20, frames=8, stride=2, given=0.5)


def given(part, count, kind):
  draws = {"given_count": jnp.array([count]), "given_kind": jnp.array([kind])}
  return np.asarray(part.given_frames(draws))[0]


def test_clips_are_inside_the_video_and_everywhere_in_it():
  draws = PART.draw(randomness.Keys(jax.random.key(0)), (4000,))
  at = np.asarray(PART.chosen(draws))
  assert at.min() == 0 and at.max() == 19
  gaps = np.diff(at, axis=1)
  assert (gaps == gaps[:, :1]).all()
  for stride in (1, 2):
    starts = at[gaps[:, 0] == stride, 0]
    room = 20 - 7 * stride
    assert set(starts) == set(range(room))
    counts = np.bincount(starts, minlength=room)
    assert counts.max() < 1.4 * counts.mean()
  assert 0.45 < (gaps[:, 0] == 2).mean() < 0.55
  # A start of nearly 1, rounded up, stays inside.
  last = {"stride": jnp.array([2]), "start": jnp.array([1 - 2.0**-24])}
  np.testing.assert_array_equal(PART.chosen(last)[0], np.arange(5, 20, 2))


def test_given_frames_are_first_last_or_evenly_apart():
  for count in range(5):
    first, last, even = (given(PART, count, k) for k in range(3))
    np.testing.assert_array_equal(first, np.arange(8) < count)
    np.testing.assert_array_equal(last, np.arange(8) >= 8 - count)
    assert even.sum() == count
  assert list(np.flatnonzero(given(PART, 2, 2))) == [0, 7]
  assert list(np.flatnonzero(given(PART, 3, 2))) == [0, 4, 7]
  assert list(np.flatnonzero(given(PART, 1, 2))) == [0]


def test_numbers_of_given_frames_are_drawn_up_to_the_share():
  draws = PART.draw(randomness.Keys(jax.random.key(1)), (2000,))
  shown = np.asarray(PART.given_frames(draws)).sum(1)
  np.testing.assert_array_equal(shown, draws["given_count"])
  share = np.bincount(shown) / 2000
  assert len(share) == 5 and np.abs(share - 0.2).max() < 0.04
  one = clip_choice.ClipChoice(length=3, frames=1, stride=1)
  draws = one.draw(randomness.Keys(jax.random.key(1)), (50,))
  assert one.most == 0 and not one.given_frames(draws).any()


def test_frames_at_their_places():
  x = jnp.arange(2 * 5 * 3.0).reshape(2, 5, 3)
  found = clip_choice.frames_at(x, jnp.array([[0, 4], [2, 2]]))
  np.testing.assert_array_equal(found[0], x[0, jnp.array([0, 4])])
  np.testing.assert_array_equal(found[1], x[1, jnp.array([2, 2])])


def test_a_clip_longer_than_the_video_is_refused():
  PART.check()
  with pytest.raises(ValueError, match="clip.length=20"):
    clip_choice.ClipChoice(length=20, frames=8, stride=3).check()
