import evalkit
import pytest

from jmim.core import errors
from jmim.evals import result
from jmim.runlog import writer


def test_the_last_value_of_another_run_and_its_protocol(tmp_path):
  lines = writer.Writer(tmp_path)
  for step, value in ((5, 40.0), (10, 60.0)):
    lines.scalars(step, {"accuracy/top1": value}, protocol={"limit": step})
  lines.scalars(11, {"loss": 1.0})
  lines.close()
  with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
    file.write('{"step": 12, "accuracy/top1": 7')  # it goes on
  found = dict(result.Evaluator(workdir=str(tmp_path)).run(evalkit.context()))
  assert found["top1"] == 60.0
  assert found["protocol"]["of_step"] == 10
  assert found["protocol"]["of_protocol"] == {"limit": 10}


def test_a_run_without_it_is_named(tmp_path):
  for workdir in (tmp_path, tmp_path / "none"):
    with pytest.raises(errors.UserError, match="no accuracy/top1"):
      dict(result.Evaluator(workdir=str(workdir)).run(evalkit.context()))
