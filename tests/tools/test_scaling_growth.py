"""How a step grows with a size, on sides whose growth is known."""

import json

import pytest

from jmim.core import errors
from jmim.tools import bench_sides
from jmim.tools import scaling
from jmim.tools import scaling_growth


class Side:
  """Time like n^1.5, memory like n, FLOPs like n^2 times the batch of 4."""

  def __init__(self, module, spec):
    assert module == bench_sides.OURS
    sizes = {x.split("=")[1] for x in spec["overrides"][1:]}
    assert spec["overrides"][0] == "a=1" and len(sizes) == 1
    n = int(sizes.pop())
    self.seconds = 0.01 * n**1.5
    self.facts = {"flops": 7 * n**2, "batch": 4, "memory": 100 * n}

  def ask(self, steps):
    return {"seconds": steps * self.seconds, "cpu": 0.0}

  def close(self):
    pass


def test_exponents_are_those_of_the_growth(monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(bench_sides, "Side", Side)
  code = scaling.main(
    [
      "growth",
      "--config=x.py:small=True",
      "--sweep=data.size+method.size=2,4,8",
      "--sweep=data.batch=3,9",
      f"--out={tmp_path}",
      "--rounds=1",
      "--config.a=1",
    ]
  )
  assert code == 0
  rows = json.loads((tmp_path / "growth.json").read_text())
  assert rows[0]["sweep"]["keys"] == ["data.size", "method.size"]
  assert rows[0]["values"]["flops"] == [7 * n**2 * 4 for n in (2, 4, 8)]
  for row in rows:
    assert row["exponents"] == pytest.approx(
      {"seconds": 1.5, "memory": 1.0, "flops": 2.0}
    )
  assert "exponents: seconds 1.50, memory 1.00, flops 2.00" in (
    capsys.readouterr().out
  )
  assert (tmp_path / "growth.png").stat().st_size > 5000


@pytest.mark.parametrize("text", ["data.batch", "=1,2", "a=4", "a=1,x", "a=1,"])
def test_other_sweeps_are_mistakes(text):
  with pytest.raises(errors.UserError) as e:
    scaling_growth.parse(text)
  assert e.value.key == "--sweep"


def test_each_needs_what_it_is_told(capsys):
  with pytest.raises(SystemExit):
    scaling.main(["growth", "--config=x.py"])
  assert "growth needs --sweep and --out" in capsys.readouterr().err
