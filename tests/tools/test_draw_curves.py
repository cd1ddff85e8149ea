import PIL.Image

from jmim.diffusion import truncated
from jmim.tools import draw_curves


def test_each_figure_is_a_picture_with_lines(tmp_path, monkeypatch):
  # Fewer points: what is tested is the picture.
  law = lambda p, steps, limit: p
  monkeypatch.setattr(truncated, "chain", law)
  path = tmp_path / "mdm.png"
  draw_curves.FIGURES["mdm"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (810, 270)
    colours = picture.convert("RGB").getcolors(1 << 20)
  assert len(colours) > 50
