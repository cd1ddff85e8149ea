import numpy as np
import PIL.Image

from jmim.tools import draw_factors


def test_the_grid_shows_each_source_in_the_guise_of_each_query(tmp_path):
  path = tmp_path / "edits.png"
  draw_factors.FIGURES["difffae"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (576, 480)
    assert len(picture.convert("RGB").getcolors(1 << 20)) > 60


def test_what_is_made_is_put_in_its_place():
  seen = []

  def numbered(sources, edited):
    seen.extend(zip(sources, edited, strict=True))
    flat = np.arange(len(sources), dtype=np.uint8)
    return np.broadcast_to(flat[:, None, None, None], (len(sources), 32, 32, 3))

  made = draw_factors.grid(numbered)
  side = draw_factors.SIZE * draw_factors.SCALE
  cells = made[side::side, side::side, 0]
  np.testing.assert_array_equal(cells, np.arange(20).reshape(4, 5))
  sources, queries = draw_factors.people()
  source, edited = seen[5 * 2 + 3]
  assert source == sources[2] and edited.identity == source.identity
  assert all(
    getattr(edited, n) == getattr(queries[3], n) for n in draw_factors.FACTORS
  )
