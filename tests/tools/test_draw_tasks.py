import PIL.Image

from jmim.tools import draw_tasks


def test_the_figure_is_a_picture_in_many_colours(tmp_path):
  path = tmp_path / "tasks.png"
  draw_tasks.FIGURES["lavin_dit"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (640, 460)
    colours = picture.convert("RGB").getcolors(1 << 20)
  assert len(colours) > 100
