import PIL.Image

from jmim.tools import draw_volumes


def test_the_figure_is_a_picture_in_many_colours(tmp_path):
  path = tmp_path / "tokenunify.png"
  draw_volumes.FIGURES["tokenunify"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (640, 800)
    colours = picture.convert("RGB").getcolors(1 << 20)
  assert 30 < len(colours) <= 64
