import pathlib

import pytest

from jmim.tools import cold_start

RECIPE = pathlib.Path(__file__).parent / "crash_recipe.py"
LINES = [
  (1.0, "a warning"),
  (4.0, "jmim: mim.mae on digits\n"),
  (4.5, "mesh\n"),
  (9.0, "train step compiled in 3.0 s\n"),
  (9.5, "step       1/1  loss 1\n"),
  (12.0, "step       2/2  loss 1\n"),
]


def test_a_stage_ends_with_its_line():
  durations = cold_start.stages(LINES)
  assert list(durations.values()) == [4.0, 5.0, 0.5]
  assert sum(durations.values()) == 9.5


def test_a_run_that_ends_early_is_an_error():
  with pytest.raises(RuntimeError, match="first step"):
    cold_start.stages(LINES[:4])


@pytest.mark.slow
def test_a_warm_start_compiles_less(tmp_path, capsys):
  argv = [
    f"--config={RECIPE}",
    f"--config.data.data_dir={tmp_path}",
    "--config.evals.loss=None",
    "--config.evals.recon=None",
  ]
  assert cold_start.main(argv) == 0
  out = capsys.readouterr().out
  (total,) = [x.split() for x in out.splitlines() if "in all" in x]
  assert float(total[-2]) > float(total[-1]) > 0
