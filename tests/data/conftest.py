import pathlib
import subprocess
import sys

import pytest

_PREPARE = """
import sys
from importlib import machinery

find = machinery.PathFinder.find_spec
machinery.PathFinder.find_spec = lambda name, *rest: (
  None if name.split(".")[0] == "tensorflow" else find(name, *rest)
)
from jmim.data import sources
for config in sys.argv[2:]:
  for split in ("train", "test"):
    source = sources.build(f"digits/{config}", split, sys.argv[1])
    print(config, split, len(source))
"""


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory):
  """Digits prepared by two processes that start at the same time."""
  path = str(tmp_path_factory.mktemp("digits"))
  racers = [
    subprocess.Popen(
      [sys.executable, "-c", _PREPARE, path, *configs],
      cwd=pathlib.Path(__file__).parents[2],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for configs in (["plain", "scattered"], ["plain"])
  ]
  outputs = []
  for racer in racers:
    out, err = racer.communicate()
    assert racer.returncode == 0, err
    outputs.append(out.split())
  plain = "plain train 1397 plain test 400".split()
  assert outputs[1] == plain
  scattered = "scattered train 11176 scattered test 800".split()
  assert outputs[0] == plain + scattered
  return path
