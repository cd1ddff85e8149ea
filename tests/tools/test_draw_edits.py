import numpy as np
import PIL.Image

from jmim.tools import draw_edits


def test_the_grid_shows_each_source_in_the_guise_of_each_query(tmp_path):
  path = tmp_path / "edits.png"
  draw_edits.FIGURES["difffae"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (576, 480)
    assert len(picture.convert("RGB").getcolors(1 << 20)) > 60


def test_what_is_made_is_put_in_its_place():
  seen = []

  def numbered(sources, edited):
    seen.extend(zip(sources, edited, strict=True))
    flat = np.arange(len(sources), dtype=np.uint8)
    return np.broadcast_to(flat[:, None, None, None], (len(sources), 32, 32, 3))

  made = draw_edits.grid(numbered)
  side = draw_edits.SIZE * draw_edits.SCALE
  cells = made[side::side, side::side, 0]
  np.testing.assert_array_equal(cells, np.arange(20).reshape(4, 5))
  sources, queries = draw_edits.people()
  source, edited = seen[5 * 2 + 3]
  assert source == sources[2] and edited.identity == source.identity
  assert all(
    getattr(edited, n) == getattr(queries[3], n) for n in draw_edits.FACTORS
  )
