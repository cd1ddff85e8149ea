import numpy as np
import PIL.Image
import pytest

import jmim
from jmim.tools import draw_sizes


class Model:
  """Samples are as dark as their numbers, of whatever side."""

  def __init__(self, side=0):
    self.side = side

  def override(self, item):
    key, side = item.split("=")
    assert key == "method.first_stage.side"
    return Model(int(side))

  def sample(self, num, seed=0):
    levels = np.arange(num, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(levels, (num, self.side, self.side, 3))


def test_a_column_is_a_size_and_all_are_shown_equally_large(
  monkeypatch, tmp_path, capsys
):
  monkeypatch.setattr(jmim, "load", lambda workdir, weights: Model())
  out = tmp_path / "sizes.png"
  argv = ["--workdir=W", f"--out={out}", "--sizes=4,7,20", "--num=2"]
  assert draw_sizes.main(argv) == 0
  found = draw_sizes.columns(Model(), "method.first_stage.side", (4, 7, 20), 2)
  assert [x.shape[1] for x in found.values()] == [4, 7, 20]
  with PIL.Image.open(out) as picture:
    assert picture.width > 3 * 128 and picture.height > 2 * 128
  assert capsys.readouterr().out == f"done: {out}\n"


@pytest.mark.parametrize("sizes", ["", "8,0", "8,x"])
def test_sizes_that_are_none_are_refused(sizes, tmp_path, capsys):
  argv = ["--workdir=W", f"--out={tmp_path / 'a.png'}", f"--sizes={sizes}"]
  assert draw_sizes.main(argv) == 2
  assert "--sizes" in capsys.readouterr().err
