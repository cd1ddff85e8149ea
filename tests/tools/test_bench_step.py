"""Timing steps, with toy methods and made-up peers."""

import importlib.util
import json

import jax
import pytest
import tinyrun

from jmim.core import config as configs
from jmim.core import errors
from jmim.methods.mim import mae
from jmim.tools import bench_step
from jmim.tools import scaling

RECIPE = """
import tinyrun
def get_config(arg=None):
  return tinyrun.toy("nowhere")
"""
PEER = """
import json, sys
spec = json.loads(sys.stdin.readline())
print("a line that is no answer")
print(json.dumps({"doubled": 2 * spec["x"]}), flush=True)
for line in sys.stdin:
  print(json.dumps({"seconds": int(line) * 0.5, "cpu": 0.1}), flush=True)
"""


@pytest.fixture
def peer(tmp_path, monkeypatch):
  """The name of a module that answers."""
  (tmp_path / "fake_peer.py").write_text(PEER)
  (tmp_path / "dies.py").write_text("import sys; sys.exit(3)")
  monkeypatch.setenv("PYTHONPATH", str(tmp_path))
  return "fake_peer"


def test_sides_are_asked_in_turn(peer):
  sides = [bench_step.Side([peer], {"x": i}) for i in (1, 2)]
  assert [s.facts["doubled"] for s in sides] == [2, 4]
  found = list(bench_step.turns(sides, steps=4, rounds=3))
  one = {"seconds": pytest.approx(0.5), "cpu": pytest.approx(0.025)}
  assert found == [[one, one]] * 3
  for side in sides:
    side.close()
    assert side.process.returncode == 0


def test_a_side_that_ends_is_an_error(peer):
  with pytest.raises(errors.UserError, match="dies ended with 3"):
    bench_step.Side(["dies"], {"x": 1})


def test_our_side_trains_on_random_images():
  config = tinyrun.toy("nowhere")
  ours = bench_step.Ours(configs.override(config, ["data.batch=8"]))
  before = jax.device_get(ours.state.params)
  found = ours.run(3)
  assert found["seconds"] > 0 and found["loss"] == found["loss"]
  assert int(ours.state.step) == 3
  moved = jax.tree.map(
    lambda a, b: bool((a != b).any()), before, jax.device_get(ours.state.params)
  )
  assert any(jax.tree.leaves(moved))
  facts = ours.facts()
  assert facts["batch"] == 8 and facts["peer"] is None
  # Both players: generator 3 x 64, discriminator 64 x 1 (twice, thrice).
  assert facts["flops"] > 3 * 2 * 3 * 64


def test_the_peer_is_told_what_to_build():
  class Parts:
    config = tinyrun.recipe("nowhere")
    batch = 32

  Parts.method = mae.MAE.tiny()
  Parts.config.method.type = "mim.mae"
  spec = json.loads(json.dumps(bench_step.peer_spec(Parts)))
  assert (spec["width"], spec["hidden"], spec["decoder_hidden"]) == (
    32,
    128,
    64,
  )
  assert (spec["patch"], spec["dtype"], spec["batch"]) == (4, "float32", 32)
  Parts.config.method.type = "mim.simmim"
  assert bench_step.peer_spec(Parts) is None


def test_ratios_are_taken_pair_by_pair(capsys):
  facts = {
    "name": "jmim",
    "method": "m",
    "parameters": 5,
    "batch": 10,
    "flops": 7,
    "devices": "1 cpu",
    "peak": 70.0,
    "peak_source": "measured",
  }
  pair = lambda a, b: [{"seconds": a, "cpu": 1}, {"seconds": b, "cpu": 2}]
  found = bench_step.show(facts, [pair(1, 2), pair(10, 15), pair(2, 2)])
  assert found["ratio"] == 1.5 and found["cpu_ratio"] == 2
  assert found["images_per_second"] == 5 and found["mfu"] == 0.5
  assert "1.50 x" in capsys.readouterr().out


def test_the_command_line_names_its_mistakes(capsys):
  assert bench_step.main([]) == 2
  assert "--config" in capsys.readouterr().err


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
    def __init__(self, command, spec):
      ratio = float(spec["overrides"][-1].partition("=")[2])
      self.seconds = 2.0 - ratio
      self.facts = {"flops": int(1000 * (1 - ratio / 2))}

    def ask(self, steps):
      return {"seconds": steps * self.seconds, "cpu": 0.0}

    def close(self):
      pass

  monkeypatch.setattr(bench_step, "Side", Side)
  rows = scaling.masks("x.py", [], [0.0, 0.5], rounds=2)
  assert [r["seconds"] for r in rows] == [2.0, 1.5]
  assert [r["predicted"] for r in rows] == [2.0, 1.5]
  scaling.draw_masks(rows, tmp_path / "masks.png")
  assert (tmp_path / "masks.png").stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.skipif(
  importlib.util.find_spec("transformers") is None
  or importlib.util.find_spec("torch") is None,
  reason="torch and transformers are not here",
)
def test_beside_transformers(capsys):
  small = (
    "width=32",
    "heads=2",
    "depth=1",
    "decoder_width=32",
    "decoder_heads=2",
  )
  flags = [f"--config.method.{x}" for x in small]
  code = bench_step.main(
    [
      "--config=configs/mae_digits.py",
      "--config.data.batch=4",
      "--peer",
      "--steps=1",
      "--rounds=2",
      *flags,
    ]
  )
  shown = capsys.readouterr().out
  assert code == 0, shown
  assert "the peer's speed" in shown
  assert "peer: transformers" in shown
