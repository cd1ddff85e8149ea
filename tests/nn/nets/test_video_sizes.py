import dataclasses
import math

import pytest

from jmim.nn.nets import video_sizes

DEEP = video_sizes.size("deep-f8x16")
FIRST = video_sizes.size("deep-f4x8")
ADAPTIVE = video_sizes.size("adaptive-f4x8")


def test_published_counts_of_frames_and_tokens():
  assert DEEP.latents(17) == 3 and DEEP.latents(204) == 36
  assert [DEEP.latents(n) for n in (1, 68, 136)] == [1, 12, 24]
  assert (544 // DEEP.factor, 992 // DEEP.factor) == (34, 62)
  assert math.prod((DEEP.latents(204), 34, 62)) == 75_888
  assert FIRST.latents(17) == 5 and FIRST.factor == 8
  # One chunk of any length: 81 frames, 21 latent ones.
  assert ADAPTIVE.latents(81) == 21 and ADAPTIVE.factor == 8
  assert ADAPTIVE.code == 16 and DEEP.code == 64


@pytest.mark.parametrize("size", [DEEP, FIRST, ADAPTIVE])
def test_frames_come_back_whole(size):
  for frames in (1, 1 + size.time_factor, 17, 34, 34 + 9, 204):
    if size.chunk or (frames - 1) % size.time_factor == 0:
      size.check(64, frames)
      assert size.frames(size.latents(frames)) == frames
  with pytest.raises(ValueError, match="dims.chunk"):
    size.check(64, 16)


@pytest.mark.parametrize(
  ("changes", "says"),
  [
    (dict(time_down=(0, 3)), "levels 0 to 2 going down"),
    (dict(time_up=(0, 1)), "1 to 3 going up"),
    (dict(time_up=(3,)), "doubles it 1 times"),
    (dict(code=65), "no multiple of 2080"),
    (dict(norm_groups=24), "24 groups"),
    (dict(layout="adaptive"), "dual"),
  ],
)
def test_what_does_not_fit_is_refused(changes, says):
  with pytest.raises(ValueError, match=says):
    dataclasses.replace(DEEP, **changes).check(64, 17)
  with pytest.raises(ValueError, match="size 40"):
    DEEP.check(40)
  with pytest.raises(ValueError, match="none of deep-f8x16"):
    video_sizes.size("deep")


def test_a_config_changes_what_it_names():
  dims = video_sizes.Dims(variant="deep-f4x8", width=8, chunk=9)
  wanted = dataclasses.replace(FIRST, width=8, chunk=9, channels=1)
  assert dims.size(1) == wanted
