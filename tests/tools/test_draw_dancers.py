import PIL.Image

from jmim.tools import draw_dancers


def test_the_figure_is_a_picture_in_many_colours(tmp_path):
  path = tmp_path / "dancers.png"
  draw_dancers.FIGURES["viton_dit"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (760, 380)
    colours = picture.convert("RGB").getcolors(1 << 20)
  assert len(colours) > 100
