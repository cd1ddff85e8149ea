import json
import pathlib
import re
import textwrap

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import validate
from jmim.modes import apply
from jmim.modes import train
from jmim.tools import claim
from jmim.tools import claims

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLAIM = """
from jmim.tools import claims

def get_claim():
  '''Two runs; the second reads the folder of the first.'''
  return claims.Claim(
    runs={
      "long": claims.Run("recipe.py", ("train.total_steps=8",)),
      "short": claims.Run(
        "recipe.py", ("train.total_steps=4", "data.data_dir={workdir:long}/x")
      ),
    },
    conditions=(
      claims.Condition(
        text="loss of long / loss of short",
        value=lambda r: r["long"]["loss/loss"] / r["short"]["loss/loss"],
        at_most=0.6,
      ),
      claims.Condition(
        text="steps",
        value=lambda r: len(r["long"].history("loss")),
        at_least=2,
      ),
    ),
    metrics=("loss/loss", "nothing"),
    seeds=(0, 1),
  )
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
  """A claim in a checkout, and training that only writes its metrics."""
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs" / "claims").mkdir(parents=True)
  (tmp_path / "configs" / "claims" / "toy.py").write_text(
    '"""Longer is better."""\n' + CLAIM
  )
  (tmp_path / "recipe.py").write_text(
    textwrap.dedent("""
      from jmim.core import config as configs

      def get_config():
        config = configs.base()
        config.data.name = "digits/plain"
        config.method = configs.section(type="mim.mae")
        return config
    """)
  )
  trained = []

  def fake(config, workdir):
    trained.append((config, workdir))
    total = config.train.total_steps
    lines = [{"step": s, "loss": 1.0} for s in range(2, total + 1, 2)]
    lines.append({"step": total, "loss/loss": (4 + config.seed) / total})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (workdir / "metrics.jsonl").write_text(text)

  monkeypatch.setattr(train, "run", fake)
  return trained


def test_a_claim_that_holds(lab, capsys):
  assert claim.main(["toy"]) == 0
  shown = capsys.readouterr().out
  assert "Longer is better." in shown and shown.rstrip().endswith("PASS")
  assert "0.5000 .. 0.5000" in shown and "<= 0.6" in shown
  # Recipe, run and seed all reach the trainer.
  trained = [(c.seed, c.train.total_steps) for c, _ in lab]
  assert trained == [(0, 8), (0, 4), (1, 8), (1, 4)]
  assert lab[1][0].data.data_dir == str(lab[0][1] / "x")


def test_a_claim_that_does_not_hold(lab, capsys, tmp_path):
  path = tmp_path / "configs" / "claims" / "toy.py"
  path.write_text(path.read_text().replace("at_most=0.6", "at_most=0.4"))
  assert claim.main([str(path)]) == 1
  shown = capsys.readouterr().out
  assert "FAIL: 1 of 2" in shown and shown.count("PASS") == 1


def test_seeds_and_overrides_of_the_command_line(lab):
  assert claim.main(["toy", "--seeds", "5", "--config.optim.lr=0.5"]) == 0
  assert [(c.seed, c.optim.lr) for c, _ in lab] == [(5, 0.5)] * 2


def test_runs_are_kept_and_not_mixed_up(lab, tmp_path, capsys):
  runs = tmp_path / "runs"
  assert claim.main(["toy", "--runs", str(runs)]) == 0
  assert (runs / "seed1" / "short" / "metrics.jsonl").is_file()
  assert claim.main(["toy", "--runs", str(runs)]) == 0
  again = ["toy", "--runs", str(runs), "--config.optim.lr=0.5"]
  assert claim.main(again) == 2
  assert "optim.lr" in capsys.readouterr().err


def test_a_recipe_may_be_given_the_folder_of_a_run(lab, tmp_path):
  """As an argument, as in an override."""
  text = (tmp_path / "recipe.py").read_text()
  text = text.replace("get_config()", "get_config(arg)")
  text = text.replace('"digits/plain"', "arg")
  (tmp_path / "recipe.py").write_text(text)
  spec = claims.Run("recipe.py:{workdir:first}", ("train.total_steps=2",))
  claim.run("second", spec, seed=0, root=tmp_path / "runs")
  ((config, _),) = lab
  assert config.data.name == str(tmp_path / "runs" / "first")


def test_a_procedure_is_applied(lab, tmp_path, monkeypatch):
  (tmp_path / "recipe.py").write_text(
    "from jmim.core import config as configs\n"
    "def get_config():\n"
    "  config = configs.procedure()\n"
    "  config.procedure = configs.section(type='edit.img2img')\n"
    "  return config\n"
  )
  applied = []

  def run(config, workdir):
    applied.append(config)
    (workdir / "metrics.jsonl").write_text('{"step": 0, "change/psnr": 9.0}\n')

  monkeypatch.setattr(apply, "run", run)
  source = "procedure.source.path={workdir:base}"
  spec = claims.Run("recipe.py", (source,))
  found, _ = claim.run("edited", spec, seed=3, root=tmp_path / "runs")
  assert found["change/psnr"] == 9.0 and not lab
  assert applied[0].procedure.source.path == str(tmp_path / "runs" / "base")
  assert applied[0].seed == 3


def test_list_names_every_claim(lab, capsys):
  assert claim.main(["--list"]) == 0
  assert capsys.readouterr().out.split() == ["toy", "Longer", "is", "better."]


def test_an_unknown_claim_names_the_known_ones(lab, capsys):
  assert claim.main(["tody"]) == 2
  assert "toy" in capsys.readouterr().err


@pytest.mark.parametrize(
  "error, code", [(errors.Diverged, 3), (errors.Preempted, 75)]
)
def test_a_run_that_did_not_end_is_told_apart(
  lab, monkeypatch, capsys, error, code
):
  def fail(config, workdir):
    raise error("step 3")

  monkeypatch.setattr(train, "run", fail)
  assert claim.main(["toy"]) == code
  assert "step 3" in capsys.readouterr().err


@pytest.mark.parametrize(
  "path",
  sorted((ROOT / "configs" / "claims").glob("*.py")),
  ids=lambda p: p.stem,
)
def test_the_runs_of_every_claim_are_configs(path, tmp_path, monkeypatch):
  """Recipes and overrides fit; folders are those of runs that come before."""
  monkeypatch.chdir(ROOT)
  made, text = claim.load(str(path))
  assert text.strip() and made.conditions
  before = set()
  for name, spec in made.runs.items():
    named = " ".join((spec.config, *spec.overrides))
    asked = re.findall(r"{workdir:(\w+)}", named)
    assert set(asked) <= before
    before.add(name)
    items = [x.replace("{workdir:", f"{tmp_path}/{{") for x in spec.overrides]
    # What a recipe reads from a run that comes before is not there yet.
    recipe = re.sub(r"(?<=[:,])\w+={workdir:\w+}", "", spec.config)
    config = configs.override(configs.load(recipe.rstrip(":,")), items)
    validate.validate(config)
    # What takes longer than the run itself is switched off.
    wanted = {metric.partition("/")[0] for metric in made.metrics}
    types = {e.type for n, e in config.evals.items() if n not in wanted}
    assert not types & {"linear", "finetune", "fewshot", "introspect"}
