import collections
import json
import pathlib
import re
import textwrap

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import units
from jmim.core import validate
from jmim.modes import apply
from jmim.modes import train
from jmim.session import checks
from jmim.session import lock
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


def test_what_is_exact_is_measured_without_a_run(lab, capsys, tmp_path):
  path = tmp_path / "configs" / "claims" / "toy.py"
  assert claim.main(["toy", "--exact"]) == 2
  assert "every condition" in capsys.readouterr().err
  condition = 'claims.Condition(text="counted", value=lambda r: 3, at_most={}),'
  for most, code in ((3, 0), (2, 1)):
    added = f"conditions=(\n      {condition.format(most)}"
    path.write_text(f'"""Toy."""\n{CLAIM.replace("conditions=(", added)}')
    assert claim.main(["toy", "--exact"]) == code
    shown = capsys.readouterr().out
    assert "counted" in shown and "steps" not in shown
  assert not lab


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
  text = text.replace("get_config()", "get_config(arg='digits/plain')")
  text = text.replace('"digits/plain"', "arg")
  (tmp_path / "recipe.py").write_text(text)
  short = ("train.total_steps=2",)
  runs = {
    "first": claims.Run("recipe.py", short),
    "second": claims.Run("recipe.py:{workdir:first}", short),
  }
  made = claims.Claim(runs=runs, conditions=())
  claim.measure(made, tmp_path / "runs", [0])
  (_, (config, _)) = lab
  assert config.data.name == str(tmp_path / "runs" / "seed0" / "first")


def shared(*overrides, **more):
  """A claim of one shared run, and one that reads its folder."""
  runs = {
    "base": claims.Run(
      "recipe.py", ("train.total_steps=4", *overrides), shared=True
    ),
    "own": claims.Run(
      "recipe.py", ("train.total_steps=2", "data.data_dir={workdir:base}")
    ),
  }
  return claims.Claim(runs=runs | more, conditions=())


def test_a_tool_makes_its_file_once(lab, tmp_path, monkeypatch):
  """Of a recipe, for the runs that follow."""
  made = []

  class Tool:
    parse = staticmethod(lambda argv: (argv, []))

    @staticmethod
    def run(argv, overrides):
      made.append(argv)
      out = next(a for a in argv if a.startswith("--out="))
      pathlib.Path(out.removeprefix("--out=")).write_text("codes")

  monkeypatch.setattr(
    claim.importlib,
    "import_module",
    {"jmim.tools.make_codebook": Tool}.__getitem__,
  )
  table = claims.Run(
    "recipe.py", ("optim.lr=0.5",), tool="make_codebook", arguments=("--n=3",)
  )
  reads = ("train.total_steps=2", "data.data_dir={workdir:table}/made.npz")
  runs = {"table": table, "own": claims.Run("recipe.py", reads)}
  both = claims.Claim(runs=runs, conditions=())
  for _ in range(2):
    (results,) = claim.measure(both, tmp_path / "runs", [0])
  (argv,) = made
  out = tmp_path / "runs" / "seed0" / "table" / "made.npz"
  assert argv == [
    "--config=recipe.py",
    f"--out={out}",
    "--n=3",
    "--config.optim.lr=0.5",
    "--config.seed=0",
  ]
  assert dict(results["table"]) == {} and out.read_text() == "codes"
  assert lab[0][0].data.data_dir == str(out)
  with pytest.raises(ValueError, match="is not shared"):
    claims.Run("recipe.py", tool="make_codebook", shared=True)
  with pytest.raises(ValueError, match="tools alone take arguments"):
    claims.Run("recipe.py", arguments=("--n=3",))


def test_claims_share_a_run_of_the_same_config_and_seed(lab, tmp_path):
  """It is found in one folder, and so is what reads it."""
  for slug, seeds in (("a", [0]), ("b", [0, 1])):
    claim.measure(shared(), tmp_path / slug, seeds)
  bases = [w for c, w in lab if c.train.total_steps == 4]
  folder, again, other = bases
  assert folder == again != other
  assert folder.parent == other.parent == tmp_path / "shared"
  assert folder.name.startswith("recipe-seed0-")
  assert other.name.startswith("recipe-seed1-")
  read = {c.data.data_dir for c, w in lab if w.name == "own" and not c.seed}
  assert read == {str(folder)}
  assert (tmp_path / "b" / "seed1" / "own" / "metrics.jsonl").is_file()


def test_a_shared_run_of_another_config_is_another_one(lab, tmp_path):
  claim.measure(shared(), tmp_path / "a", [0])
  claim.measure(shared("optim.lr=0.5"), tmp_path / "b", [0])
  claim.measure(shared(), tmp_path / "c", [0], ["optim.lr=0.5"])
  one, two, three = [w for c, w in lab if c.train.total_steps == 4]
  assert one != two == three


def test_two_claims_do_not_train_a_shared_run_at_once(lab, tmp_path, capsys):
  """The second is told who does, before it writes anything."""
  claim.measure(shared(), tmp_path / "a", [0])
  ((_, folder), *_) = lab
  before = sorted(p.name for p in folder.iterdir())
  held = lock.Lock(folder)
  try:
    with pytest.raises(errors.UserError, match="is being written by process"):
      claim.measure(shared(), tmp_path / "b", [0])
  finally:
    held.release()
  assert sorted(p.name for p in folder.iterdir()) == before
  assert len(lab) == 2


def test_a_shared_run_reads_shared_runs_only():
  later = claims.Run("recipe.py", ("data.data_dir={workdir:own}",), shared=True)
  with pytest.raises(ValueError, match="'later' is shared .* 'own'"):
    shared(later=later)
  with pytest.raises(ValueError, match="'later' reads .* 'next'"):
    shared(later=claims.Run("recipe.py:{workdir:next}"))
  shared(later=claims.Run("recipe.py:{workdir:base}", shared=True))


def test_runs_that_claims_have_in_common_are_shared(monkeypatch):
  """Of all claims; recipes that read the folder of a run are left out."""
  monkeypatch.chdir(ROOT)
  found = collections.defaultdict(list)
  for path in sorted((ROOT / "configs" / "claims").glob("*.py")):
    folders = {}  # of the runs of this claim, called after what they are
    for name, spec in claim.load(str(path))[0].runs.items():
      unknown = {*spec.reads()} - folders.keys()
      if "{workdir:" in spec.config or spec.tool or unknown:
        continue
      here = spec.placed(folders.get)
      config = configs.override(configs.load(here.config), here.overrides)
      content = json.loads(config.to_json())
      folders[name] = claims.shared_name(here.config, content)
      found[folders[name]].append((path.stem, name, spec.shared))
  common = {x: runs for x, runs in found.items() if len(runs) > 1}
  assert common
  alone = {x: r for x, r in common.items() if not all(run[-1] for run in r)}
  assert not alone
  # One that reads a shared run is found, too.
  assert any(x.startswith("ldm_digits") for x in common)


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
  spec = claims.Run("recipe.py", (source,)).placed(lambda name: tmp_path / name)
  found, _ = claim.run("edited", spec, seed=3, root=tmp_path / "runs")
  assert found["change/psnr"] == 9.0 and not lab
  assert applied[0].procedure.source.path == str(tmp_path / "base")
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


def starts(config, examples=50_000):
  """Its durations are those of a run, so many examples are an epoch."""
  length = units.steps(
    config.train, "total", batch=config.data.batch, examples=examples
  )
  checks.check_durations(config, round(length), examples)


def test_a_run_that_would_be_refused_at_its_start_is_found():
  config = configs.base()
  config.train.total_steps = 1
  starts(config)
  config.schedule.warmup_steps = 100
  with pytest.raises(errors.UserError, match="100 steps in a run of 1"):
    starts(config)


@pytest.mark.parametrize(
  "path",
  sorted((ROOT / "configs" / "claims").glob("*.py")),
  ids=lambda p: p.stem,
)
def test_the_runs_of_every_claim_are_configs(path, tmp_path, monkeypatch):
  """Recipes, overrides and lengths fit; each reads runs that come before."""
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
    recipe = re.sub(r"(?<=[:,])\w+={workdir:\w+}[^,]*", "", spec.config)
    config = configs.override(configs.load(recipe.rstrip(":,")), items)
    validate.validate(config)
    if "train" in config:
      starts(config)
    # What takes longer than the run itself is switched off.
    wanted = {metric.partition("/")[0] for metric in made.metrics}
    types = {e.type for n, e in config.evals.items() if n not in wanted}
    assert not types & {"linear", "finetune", "fewshot", "introspect"}


def test_every_claim_has_a_row():
  page = (ROOT / "docs" / "claims.md").read_text()
  slugs = {p.stem for p in (ROOT / "configs" / "claims").glob("*.py")}
  assert slugs <= set(re.findall(r"^\| `(\w+)` ", page, re.M))


@pytest.mark.slow
@pytest.mark.parametrize(
  "slug", sorted(p.stem for p in (ROOT / "configs" / "claims").glob("*.py"))
)
def test_what_is_exact_holds(slug, monkeypatch):
  monkeypatch.chdir(ROOT)
  made, _ = claim.load(slug)
  try:
    exact = claims.exact(made)
  except errors.UserError:
    return  # all of it is trained
  for condition in exact.conditions:
    assert condition.holds(condition.value({})), condition.text
