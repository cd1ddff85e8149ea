"""--mode=eval on runs of a tiny MAE."""

import pytest
import tinyrun

from jmim.core import errors
from jmim.modes import evaluate
from jmim.modes import train
from jmim.runlog import writer


@pytest.fixture(scope="module")
def recipe(digits_home):
  return tinyrun.recipe(digits_home)


def test_eval_mode_reads_a_checkpoint_and_leaves_the_run_alone(
  recipe, tmp_path, capsys
):
  train.run(tinyrun.small(recipe, total_steps=2), tmp_path)
  before = (tmp_path / "metrics.jsonl").read_text()
  capsys.readouterr()
  evaluate.run(recipe, tmp_path)
  shown = capsys.readouterr().out
  assert "Evaluation at step 2" in shown and "knn/top1" in shown
  named = [shown.index(f"evaluating {name} (") for name in recipe.evals]
  assert named == sorted(named)
  assert (tmp_path / "metrics.jsonl").read_text() == before
  assert not list((tmp_path / "images").iterdir())
  kept = writer.read(tmp_path / "eval")
  assert {x["eval"] for x in kept} == set(recipe.evals)
  assert all(x["protocol"]["data.size"] == 8 for x in kept)
  assert (tmp_path / "eval/images/recon_sheet_00000002.png").is_file()


def test_eval_mode_without_a_checkpoint(recipe, tmp_path):
  with pytest.raises(errors.UserError, match="no checkpoint"):
    evaluate.run(recipe, tmp_path)
