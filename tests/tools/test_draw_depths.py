import numpy as np
import PIL.Image

from jmim.tools import draw_depths


def test_the_figure_has_a_column_of_each_class(tmp_path):
  path = tmp_path / "depths.png"
  draw_depths.FIGURES["i2p_mae"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (640, 270)
    pixels = np.asarray(picture.convert("RGB")).astype(int)
  colours = np.abs(pixels - pixels.mean(-1, keepdims=True)).max(-1) > 30
  # Near and far have colours of their own, in all eight columns.
  columns = np.array_split(colours, 8, axis=1)
  assert all(column.mean() > 0.01 for column in columns)
