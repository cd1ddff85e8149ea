import PIL.Image

from jmim.tools import draw_scenes


def test_the_figure_is_a_picture_in_many_colours(tmp_path):
  path = tmp_path / "scenes.png"
  draw_scenes.FIGURES["scenes"](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == (640, 760)
    colours = picture.convert("RGB").getcolors(1 << 20)
  assert len(colours) > 100
