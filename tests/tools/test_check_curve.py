import json

import pytest

from jmim.core import config as configs
from jmim.tools import check_curve


@pytest.fixture
def workdir(tmp_path, monkeypatch):
  """A workdir whose loss falls from 2 to 1 over 100 steps."""
  monkeypatch.setattr(check_curve, "CURVES", tmp_path / "curves")
  run = tmp_path / "run"
  run.mkdir()
  write(run, 1.0)
  config = configs.base()
  config.method.type = "mim.mae"
  (run / "config.json").write_text(json.dumps(config.to_dict()))
  return run


def write(run, factor):
  lines = [
    {"step": s, "loss": factor * (2 - s / 100)} for s in range(10, 101, 10)
  ]
  lines.append({"step": 100, "probe/accuracy": 60.0 * factor, "eval": "probe"})
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (run / "metrics.jsonl").write_text(text)


def test_a_run_passes_against_its_own_record_and_fails_far_from_it(
  workdir, capsys
):
  assert check_curve.main([str(workdir), "--record", "toy"]) == 0
  assert check_curve.main([str(workdir)]) == 0
  assert "PASS" in capsys.readouterr().out
  write(workdir, 1.04)  # within 15 % and 4 points
  assert check_curve.main([str(workdir)]) == 0
  write(workdir, 1.3)
  assert check_curve.main([str(workdir)]) == 1
  assert "OUTSIDE" in capsys.readouterr().out


def test_an_unfinished_run_is_compared_as_far_as_it_went(workdir):
  check_curve.main([str(workdir), "--record", "toy"])
  lines = (workdir / "metrics.jsonl").read_text().splitlines()[:4]
  (workdir / "metrics.jsonl").write_text("\n".join(lines) + "\n")
  reference = json.loads((check_curve.CURVES / "toy.json").read_text())
  rows = check_curve.compare(reference, [json.loads(x) for x in lines])
  assert rows and max(row[1] for row in rows) <= 40
  assert all(row[-1] for row in rows)
  # It goes on: of its last line there is a half.
  half = json.dumps({"step": 50, "loss": 0.5})[:-3]
  (workdir / "metrics.jsonl").write_text("\n".join([*lines, half]))
  assert check_curve.main([str(workdir)]) == 0


def test_another_recipe_has_no_reference(workdir, capsys):
  check_curve.main([str(workdir), "--record", "toy"])
  config = json.loads((workdir / "config.json").read_text())
  config["optim"]["lr"] = 7.0
  (workdir / "config.json").write_text(json.dumps(config))
  assert check_curve.main([str(workdir)]) == 2
  assert "optim.lr" in capsys.readouterr().err


def test_the_place_of_the_data_does_not_make_another_recipe(workdir):
  check_curve.main([str(workdir), "--record", "toy"])
  config = json.loads((workdir / "config.json").read_text())
  config["data"]["data_dir"] = "/elsewhere"
  (workdir / "config.json").write_text(json.dumps(config))
  assert check_curve.main([str(workdir)]) == 0


@pytest.mark.parametrize("name", ["mae_digits", "mae_cifar10"])
def test_curves_of_recipes_with_older_names_are_those_of_todays(name):
  config = json.loads(configs.load(f"configs/{name}.py").to_json())
  assert check_curve.find(config).stem == name


def test_a_recipe_is_complete_and_read_again(workdir):
  config = json.loads((workdir / "config.json").read_text())
  flat = config | {"method": {"type": "mim.mae", "width": 96, "heads": 2}}
  nested = config | {
    "method": {"type": "mim.mae", "dims": {"width": 96, "heads": 2}}
  }
  recipe = check_curve.recipe(flat)
  assert recipe == check_curve.recipe(nested) == check_curve.recipe(recipe)
  assert recipe["method"]["dims"]["width"] == 96
  assert recipe["method"]["mask_ratio"] == 0.75
  del config["optim"]["layer_decay"]  # a key younger than the record
  assert check_curve.recipe(config)["optim"]["layer_decay"] == 1.0


def test_no_workdir(tmp_path, capsys):
  assert check_curve.main([str(tmp_path)]) == 2
  assert "metrics.jsonl" in capsys.readouterr().err
