import PIL.Image
import pytest

from jmim.tools import draw_faces


@pytest.mark.parametrize(
  "name, size", [("portraits", (768, 576)), ("dubbing", (960, 512))]
)
def test_figures_are_pictures_in_many_colours(tmp_path, name, size):
  path = tmp_path / f"{name}.png"
  draw_faces.FIGURES[name](path)
  with PIL.Image.open(path) as picture:
    assert picture.size == size
    colours = picture.convert("RGB").getcolors(1 << 20)
  assert len(colours) > 60
