import types

import numpy as np

from jmim.data import shape_clips
from jmim.data.builders import shapes


def made(i):
  config = types.SimpleNamespace(size=32, frames=10)
  rng = shapes.example_rng("preferences", "train", i)
  return shape_clips.pair(config, rng)


def reach(clip, label):
  """How far what changes goes along the way of the thing [pixels]."""
  changed = (np.abs(clip - clip[2]).max(-1) > 8).any(0)
  angle = 2 * np.pi * label / 8
  along = np.array([np.sin(angle), np.cos(angle)]) @ np.nonzero(changed)
  return np.ptp(along)


def test_the_first_clip_of_a_pair_is_the_faster():
  """Both have the middle frame; from there the first one goes farther."""
  gains = []
  for i in range(8):
    example = made(i)
    fast, slow = np.split(example["video"].astype(float), 2)
    np.testing.assert_array_equal(fast[2], slow[2])
    reaches = [reach(clip, example["label"]) for clip in (fast, slow)]
    gains.append(reaches[0] - reaches[1])
  assert min(gains) >= 0  # 0 where both leave the picture
  assert np.mean(gains) > 2


def test_pairs_differ():
  assert len({made(i)["video"].tobytes() for i in range(4)}) == 4
