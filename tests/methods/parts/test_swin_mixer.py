import dataclasses

import pytest

from jmim.methods.parts import swin_mixer
from jmim.nn.nets import unet

DIMS = unet.Dims(width=4, multipliers=(1, 2), attend_at=(1,), norm_groups=2)
MIXER = swin_mixer.SwinMixer(width=8, window=4, head_width=2)


def test_it_makes_layers_of_its_fields():
  """Windows are those of training where another side is asked for."""
  made = MIXER.plug(16)(heads=3, groups=2, factor=2)
  assert (made.width, made.window, made.trained) == (8, 4, 16)
  asked = swin_mixer.SwinMixer(trained=8, norm_in=True).plug(16)
  made = asked(heads=3, groups=2, factor=2)
  assert made.trained == 8 and made.norm_in


@pytest.mark.parametrize(
  "changes, size, word",
  [
    (dict(), 12, "maps of side 6 .* windows of side 4"),
    (dict(window=3), 8, "maps of side 8 .* windows of side 3"),
    (dict(head_width=3), 8, "divide by 3 .*swin.head_width"),
    (dict(head_width=0, width=6), 8, "divide by 4 .*dims.heads"),
    (dict(width=9, head_width=3), 8, "norm_groups=2"),
  ],
)
def test_what_does_not_fit_is_named(changes, size, word):
  known = dict(width=8, window=4, head_width=2)
  with pytest.raises(ValueError, match=word):
    swin_mixer.SwinMixer(**known | changes).check(DIMS, size)


def test_windows_are_no_larger_than_a_map_and_divide_a_side():
  assert MIXER.windows(DIMS, 4) == {1: 4, 2: 2}
  assert MIXER.windows(DIMS, 16) == {1: 4, 2: 4}
  assert (MIXER.unit(DIMS, 4), MIXER.unit(DIMS, 16)) == (4, 8)
  other = dataclasses.replace(DIMS, attend_at=(0, 1, 3, 64))  # 1 is a level's
  wide = dataclasses.replace(other, multipliers=(1, 2, 2))
  assert MIXER.windows(wide, 16) == {1: 4, 4: 4}


def test_what_fits_passes():
  MIXER.check(DIMS, 8)
  swin_mixer.SwinMixer(width=8, window=4, head_width=2, trained=4).check(
    DIMS, 8
  )
