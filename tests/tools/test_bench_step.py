"""Timing steps; `test_bench_sides` and `test_bench_ours` have its parts."""

import importlib.util

import pytest

from jmim.tools import bench_step


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
  result = bench_step.show(facts, [pair(1, 2), pair(10, 15), pair(2, 2)])
  assert result["ratio"] == 1.5 and result["cpu_ratio"] == 2
  assert result["images_per_second"] == 5 and result["mfu"] == 0.5
  assert "1.50 x" in capsys.readouterr().out


def test_the_command_line_names_its_mistakes(capsys):
  assert bench_step.main([]) == 2
  assert "--config" in capsys.readouterr().err


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
