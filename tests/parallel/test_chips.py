import types

import pytest

from jmim.parallel import chips


@pytest.mark.parametrize("kind", chips.CHIPS)
def test_data_sheets_are_of_the_right_size(kind):
  chip = chips.find(types.SimpleNamespace(device_kind=kind))
  assert 1e14 < chip.peak < 1e15 and 1.5e10 < chip.hbm < 2e11
  # All have between 100 and 300 FLOPs per byte of memory traffic ...
  assert 100 < chip.peak / chip.bandwidth < 600
  # ... and slower networks the further away.
  assert chip.bandwidth > chip.ici > chip.dcn


def test_a_cpu_has_no_data_sheet():
  assert chips.find(types.SimpleNamespace(device_kind="cpu")) is None


def test_the_longest_name_wins():
  """A v5p calls itself "TPU v5", which a v5e's name begins with."""
  find = lambda kind: chips.find(types.SimpleNamespace(device_kind=kind))
  assert find("TPU v5") == find("TPU v5p") != find("TPU v5 lite")
  assert find("TPU v5 lite").peak == 197e12
