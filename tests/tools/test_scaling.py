import pytest

from jmim.tools import bench_sides
from jmim.tools import scaling

RECIPE = """
import tinyrun
def get_config(arg=None):
  return tinyrun.toy("nowhere")
"""


def test_weak_scaling_is_flat_where_nothing_is_shared(tmp_path, capsys):
  recipe = tmp_path / "recipe.py"
  recipe.write_text(RECIPE)
  rows = scaling.chips(str(recipe), [], ["cpu:2", "cpu:4"], per_chip=16)
  assert [r["chips"] for r in rows] == [2, 4]
  assert scaling.spread(rows, "flops") < 0.03
  assert "flat within" in capsys.readouterr().out
  scaling.draw_chips(rows, tmp_path / "chips.png")
  assert (tmp_path / "chips.png").stat().st_size > 5000


def test_masks_are_timed_in_turn_and_compared_with_flops(tmp_path, monkeypatch):
  class Side:
    def __init__(self, module, spec):
      assert module == bench_sides.OURS
      ratio = float(spec["overrides"][-1].partition("=")[2])
      self.seconds = 2.0 - ratio
      self.facts = {"flops": int(1000 * (1 - ratio / 2))}

    def ask(self, steps):
      return {"seconds": steps * self.seconds, "cpu": 0.0}

    def close(self):
      pass

  monkeypatch.setattr(bench_sides, "Side", Side)
  rows = scaling.masks("x.py", [], [0.0, 0.5], rounds=2)
  assert [r["seconds"] for r in rows] == [2.0, 1.5]
  assert [r["predicted"] for r in rows] == [2.0, 1.5]
  scaling.draw_masks(rows, tmp_path / "masks.png")
  assert (tmp_path / "masks.png").stat().st_size > 5000


def test_the_spread_is_over_the_smallest():
  rows = [{"x": 4.0}, {"x": 5.0}, {"x": 4.5}]
  assert scaling.spread(rows, "x") == pytest.approx(0.25)


def test_a_recipe_that_is_not_there_is_one_error(tmp_path, capsys):
  argv = ["masks", "--config=nothing.py", "--at=0.5", f"--out={tmp_path}"]
  assert scaling.main(argv) == 2
  assert "ended with 2" in capsys.readouterr().err
