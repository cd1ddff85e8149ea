import re

import numpy as np

from jmim.tools import bench_scan


def test_all_three_are_the_same_computation():
  arrays = bench_scan.inputs(2, 12, 3, 4)
  made = bench_scan.programs(arrays, 5)
  assert tuple(made) == bench_scan.NAMES
  first, *others = ([*p(*arrays)] for p in made.values())
  for other in others:
    for a, b in zip(first, other, strict=True):
      np.testing.assert_allclose(a, b, atol=1e-4 * abs(np.asarray(b)).max())


def test_it_prints_a_ratio_for_each(capsys):
  sizes = ["--batch=1", "--tokens=8", "--width=2", "--states=2", "--rounds=2"]
  assert bench_scan.main([*sizes, "--chunk=4"]) == 0
  text = capsys.readouterr().out
  ratios = [float(x) for x in re.findall(r"ms  ([\d.]+) x", text)]
  assert len(ratios) == 3 and ratios[0] == 1.0 and min(ratios) > 0
  assert all(name in text for name in bench_scan.NAMES)
