"""Tables of what took the time of a step."""

import pytest

from jmim.runlog import console as consoles
from jmim.tools import bench_kinds

OURS = {
  "seconds": 0.5,
  "bandwidth": 4e9,
  "faults": 1234.0,
  "kinds": [
    {
      "name": "products",
      "seconds": 0.25,
      "flops": 5e9,
      "bytes": 1e9,
      "runs": 3,
    },
    {"name": "copies", "seconds": 0.125, "flops": 0, "bytes": 5e8, "runs": 9},
  ],
  "shapes": [
    {
      "name": f"[{i}, 4] x [4, 8]",
      "seconds": 0.01 * (20 - i),
      "flops": 1e9,
      "bytes": 1e8,
      "runs": 1,
    }
    for i in range(20)
  ],
}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
  monkeypatch.setenv("COLUMNS", "80")


def shown(told, capsys):
  bench_kinds.show(told, OURS, 40e9, consoles.Console())
  return capsys.readouterr().out


def line(text, name):
  return next(x for x in text.splitlines() if name in x).split()


def test_rates_stand_beside_the_best_of_the_device(capsys):
  text = shown(OURS, capsys)
  assert "ours: a step of 500.0 ms" in text
  assert "40 GFLOP/s, memory 4.0 GB/s" in text
  # 5 GFLOP in 250 ms of the step's 500, and 1 GB.
  cells = line(text, "products  ")
  assert cells[1:] == ["250.00", "50.0%", "20", "(50%)", "4", "(100%)", "3"]
  assert line(text, "copies")[1:] == ["125.00", "25.0%", "4", "(100%)", "9"]
  # What is in no operation: 500 - 250 - 125 ms.
  assert line(text, "between operations")[2:] == ["125.00", "25.0%"]
  assert "1,234 page faults a step" in text
  assert "[11, 4]" in text and "[12, 4]" not in text


def test_the_peer_knows_no_bytes(capsys):
  row = {"name": "mm", "seconds": 0.5, "flops": 1e10, "bytes": 0, "runs": 2}
  text = shown({"seconds": 1.0, "kinds": [row], "shapes": [row]}, capsys)
  assert "the peer: a step of 1000.0 ms" in text
  assert line(text, "mm")[1:] == ["500.00", "50.0%", "20", "(50%)", "2"]
  assert "page faults" not in text
