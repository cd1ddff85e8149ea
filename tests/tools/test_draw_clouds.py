import numpy as np
import PIL.Image

from jmim.tools import draw_clouds


def test_few_points_are_seen_and_the_rest_is_there(tmp_path):
  path = tmp_path / "fastdit3d.png"
  draw_clouds.FIGURES["fastdit3d"](path)
  with PIL.Image.open(path) as picture:
    pixels = np.asarray(picture.convert("RGB"), int)
  seen = pixels[:, -290:]
  red, _, blue = np.moveaxis(seen, -1, 0)
  bright, dark = (red > 200) & (blue < 100), (red < 100) & (blue > 60)
  assert 0 < bright.sum() < dark.sum()
