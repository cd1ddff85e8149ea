import numpy as np
import PIL.Image
import pytest

from jmim.tools import draw_curves
from jmim.tools import draw_masks
from jmim.tools import draw_methods
from jmim.tools import draw_tokens


@pytest.fixture
def sheets(monkeypatch):
  """One sheet and one figure in place of the methods'."""
  columns = {"image": np.full((2, 32, 32, 3), 9, np.uint8)}
  monkeypatch.setattr(draw_masks, "pictures", lambda n: None)
  monkeypatch.setattr(draw_masks, "SHEETS", {"one": lambda images: columns})
  monkeypatch.setattr(draw_tokens, "SHEETS", {})
  figure = lambda path: path.write_bytes(b"figure")
  for maker in draw_methods.MAKERS:
    monkeypatch.setattr(maker, "FIGURES", {})
  monkeypatch.setattr(draw_curves, "FIGURES", {"two": figure})


def test_all_pictures_or_those_named_are_written(sheets, tmp_path, capsys):
  assert draw_methods.main([f"--out={tmp_path / 'all'}"]) == 0
  printed = capsys.readouterr().out.split()
  assert printed == [str(tmp_path / "all" / f"{n}.png") for n in ("one", "two")]
  with PIL.Image.open(tmp_path / "all" / "one.png") as picture:
    assert (9, 9, 9) in {c for _, c in picture.convert("RGB").getcolors()}
  assert draw_methods.main(["two", f"--out={tmp_path / 'some'}"]) == 0
  assert [p.name for p in (tmp_path / "some").iterdir()] == ["two.png"]


def test_an_unknown_name_lists_the_known_ones(sheets, tmp_path, capsys):
  with pytest.raises(SystemExit):
    draw_methods.main(["three", f"--out={tmp_path}"])
  assert "three: not one of one, two" in capsys.readouterr().err
