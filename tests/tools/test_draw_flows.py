import numpy as np
import PIL.Image

from jmim.tools import draw_flows


def test_the_figure_is_a_picture_in_many_colours(tmp_path):
  path = tmp_path / "diffmatch.png"
  draw_flows.FIGURES["diffmatch"](path)
  with PIL.Image.open(path) as picture:
    # Five columns of 32 pixels, four times as large, and gaps.
    assert picture.size[0] == 5 * (4 * 32 + 6)
    colours = picture.convert("RGB").getcolors(1 << 20)
  assert 30 < len(colours) <= 64


def test_places_far_apart_are_unsure():
  cosines = np.zeros((1, 8, 8, 1, 2))
  cosines[0, :2, :5, 0, 0] = 1  # ten neighbours
  cosines[0, ::4, ::2, 0, 1] = 1
  cosines[0, 7, :2, 0, 1] = 1  # ten that are not
  near, far = draw_flows._apart(cosines)[0, 0]
  assert near < 2 < far
