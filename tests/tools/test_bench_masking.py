import re

from jmim.tools import bench_masking


def test_hiding_half_of_the_patches_saves_what_the_blocks_say(capsys):
  assert bench_masking.main(["--variant=L/2", "--flops"]) == 0
  ratio = float(re.search(r"ratio ([\d.]+)", capsys.readouterr().out)[1])
  # 24 blocks on half of the tokens and 4 on all: 28 / 16 without attention.
  assert 1.6 < 1.75 - 0.1 < ratio < 1.95


def test_nothing_hidden_saves_nothing():
  pair = [bench_masking.method("S/8", 1, r) for r in (0.0, 0.0)]
  assert len({bench_masking.forward_flops(m) for m in pair}) == 1


def test_both_steps_are_timed_in_turn():
  small = {"width": 16, "depth": 1, "heads": 2}
  pair = [bench_masking.method("S/8", 0, r, **small) for r in (0.0, 0.5)]
  laps = bench_masking.measure(pair, 2, 2)
  assert len(laps) == 2 and min(min(pair) for pair in laps) > 0
