"""--mode=sample on a run of a tiny DiT, in process."""

import types

import commandkit
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import stuckkit
import tinyrun

import jmim
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import recipes
from jmim.core import run_config
from jmim.core import runtime
from jmim.data import pipeline
from jmim.methods.parts import first_stage
from jmim.modes import sample
from jmim.modes import train
from jmim.parallel import sharding
from jmim.session import lock
from jmim.session import samples


@pytest.fixture(scope="module")
def run(tmp_path_factory, digits_home):
  """(config, workdir) after two steps."""
  config = configs.base()
  config.data.update(data_dir=digits_home, batch=16, **tinyrun.DIGITS)
  config.method = configs.section(
    type="diffusion.dit",
    variant="S/4",
    size=8,
    channels=1,
    width=16,
    depth=1,
    heads=2,
    classes=10,
    times=20,
    steps=2,
  )
  config.train.update(total_steps=2, log_steps=1)
  config.ema.decay = 0.9
  config.hardware.compile_cache = ""
  config.evals = configs.section(
    samples=configs.section(type="samples", weights="ema", examples=4)
  )
  workdir = tmp_path_factory.mktemp("run")
  train.run(config, workdir)
  return config, workdir


def made(workdir):
  (folder,) = (workdir / "samples").glob("*_ema_*")
  parts = [np.load(p) for p in sorted(folder.glob("*.npz"))]
  joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
  return folder, joined


def test_images_are_written_resumed_and_continued(run, capsys):
  config, workdir = run
  assert (workdir / "images" / "samples_grid_00000002.png").is_file()
  ask = lambda *more: configs.override(config, more)
  sample.run(ask("sample.num=10", "sample.batch=8"), workdir)
  shown = capsys.readouterr().out
  assert "images/s" in shown and "10 of them new" in shown
  folder, first = made(workdir)
  np.testing.assert_array_equal(first["index"], np.arange(10))
  np.testing.assert_array_equal(first["label"], np.arange(10))
  assert first["image"].dtype == np.uint8 and first["image"].std() > 1
  assert (
    np.abs(np.diff(np.float32(first["image"]), axis=0)).max((1, 2)) > 0
  ).all()
  picture = PIL.Image.open(folder / "part_00000.png")
  assert picture.size == (3 * 50, 3 * 50)
  sample.run(ask("sample.num=14", "sample.batch=8"), workdir)
  assert "4 of them new" in capsys.readouterr().out
  folder, more = made(workdir)
  np.testing.assert_allclose(
    np.float32(more["image"][:10]), first["image"], atol=1
  )
  sample.run(ask("sample.num=14", "sample.batch=8"), workdir)
  assert " 0 of them new" in capsys.readouterr().out
  (folder / "part_00001.npz").write_bytes(b"PK cut by a crash")
  sample.run(ask("sample.num=14", "sample.batch=8"), workdir)
  shown = capsys.readouterr().out
  assert "part_00001.npz is damaged" in shown and "2 of them new" in shown
  # Another batch, more, then fewer: each image once.
  sample.run(ask("sample.num=20", "sample.batch=16"), workdir)
  assert "6 of them new" in capsys.readouterr().out
  sample.run(ask("sample.num=5", "sample.batch=3"), workdir)
  shown = capsys.readouterr().out
  assert "15 of larger numbers" in shown and " 0 of them new" in shown
  folder, all_of_them = made(workdir)
  assert sorted(all_of_them["index"]) == list(range(20))
  first_ones = all_of_them["image"][np.argsort(all_of_them["index"])[:10]]
  np.testing.assert_allclose(np.float32(first_ones), first["image"], atol=1)


def test_other_settings_have_another_folder(run):
  config, workdir = run
  before = set((workdir / "samples").iterdir())
  changed = configs.override(config, ["sample.num=8", "sample.label=3"])
  sample.run(changed, workdir)
  (new,) = set((workdir / "samples").iterdir()) - before
  assert "_ema_" in new.name
  with np.load(new / "part_00000.npz") as found:
    np.testing.assert_array_equal(found["label"], [3] * 8)


def test_a_run_with_an_ema_is_sampled_with_it(run, capsys):
  config, workdir = run
  for items, words in (
    (["sample.num=4"], "samples of the EMA"),
    (["sample.num=4", "sample.weights=raw"], "samples of the parameters"),
  ):
    sample.run(configs.override(config, items), workdir)
    assert words in capsys.readouterr().out
  names = [p.name for p in (workdir / "samples").iterdir()]
  assert {n.split("_")[1] for n in names} == {"ema", "raw"}
  assert sample.with_weights(configs.base()).sample.weights == "raw"


@pytest.mark.parametrize(
  "items, key",
  [
    (["method.noise.times=30"], "method.noise.times"),
    (["data.mean=(0.4,)"], "data.mean"),
    (["data.std=(0.6,)", "method.sampling.steps=1"], "data.std"),
  ],
)
def test_a_run_is_sampled_as_it_was_trained(run, capsys, items, key):
  config, workdir = run
  changed = configs.override(config, [*items, "sample.num=2"])
  with pytest.raises(errors.UserError, match="allow_changes") as e:
    sample.run(changed, workdir)
  assert e.value.key == key and f"changed: {key}" in capsys.readouterr().out
  sample.run(changed, workdir, allow_changes=True)
  assert "2 of them new" in capsys.readouterr().out


def test_without_a_recipe_the_config_is_that_of_the_run(run, capsys):
  config, workdir = run
  found = run_config.load(workdir)
  assert found.data.data_dir == config.data.data_dir
  sample.run(configs.override(found, ["sample.num=3"]), workdir)
  shown = capsys.readouterr().out
  assert "samples of the EMA" in shown and "changed" not in shown


@pytest.mark.parametrize(
  "change, key",
  [("sample.label=10", "sample.label"), ("ema.decay=0.0", "sample.weights")],
)
def test_mistakes_name_the_key(run, change, key):
  config, workdir = run
  items = ["sample.weights=ema", "evals.samples=None", change]
  with pytest.raises(errors.UserError) as e:
    sample.run(configs.override(config, items), workdir)
  assert e.value.key == key


def test_samples_that_are_not_finite_are_never_written(run, monkeypatch):
  config, workdir = run
  config = configs.override(config, ["evals.samples=None", "sample.seed=77"])
  decode = first_stage.FirstStage.decode
  lost = lambda *args: decode(*args).at[1].set(np.nan)
  monkeypatch.setattr(first_stage.FirstStage, "decode", lost)
  before = {*(workdir / "samples").rglob("*.npz")}
  with pytest.raises(errors.UserError, match="1 of 3 samples: NaN"):
    sample.run(configs.override(config, ["sample.num=3"]), workdir)
  assert {*(workdir / "samples").rglob("*.npz")} == before


def a_part(kennel, patch):
  sampler = sample.sampler
  after = lambda *args: kennel.after(1, sampler(*args))
  patch.setattr(sample, "sampler", after)


def a_file(kennel, patch):
  patch.setattr(samples, "write", kennel.never_returns)


@pytest.mark.parametrize(
  "stuck, what",
  [
    (a_part, "no output samples for 1 s, waiting for the devices"),
    (a_file, "no file for 1 s, waiting for results to be written"),
  ],
)
def test_what_is_stuck_ends_it(run, monkeypatch, capfd, stuck, what):
  config, workdir = run
  kennel = stuckkit.kennel(monkeypatch)
  stuck(kennel, monkeypatch)
  items = ["sample.num=20", "sample.batch=8", f"sample.seed={len(what)}"]
  with pytest.raises(stuckkit.Bitten):
    sample.run(configs.override(config, items), workdir)
  said = capfd.readouterr().err
  assert set(kennel.codes) == {5} and kennel.limits == [8]
  assert what in said and "in never_returns" in said


def test_two_do_not_make_the_same_samples_at_once(run):
  """They would write parts of one name, and remove each other's halves."""
  config, workdir = run
  config = configs.override(config, ["sample.seed=5", "sample.num=4"])
  folder = sample.run(config, workdir)
  held = lock.Lock(folder)
  try:
    with pytest.raises(errors.UserError, match="is being written by process"):
      sample.run(config, workdir)
    other = configs.override(config, ["sample.seed=6"])
    assert sample.run(other, workdir) != folder
  finally:
    held.release()
  sample.run(config, workdir)
  assert not (folder / "lock").exists()


def recipes_of(found, name):
  """The config of each --mode=sample among a recipe's commands, changed so.

  Without a --config it is that of the command with the same --workdir.
  """
  of_run = {}
  for words in found:
    run, spec = (commandkit.flag(words, n) for n in ("workdir", "config"))
    if spec:
      of_run[run] = spec
    if "--mode=sample" in words:
      keys = [w for w in words if w.startswith("--config.")]
      changes = tuple(w.removeprefix("--config.") for w in keys)
      yield spec or of_run.get(run, f"configs/{name}.py"), changes


SAMPLED = [
  (name, spec, changes)
  for name in recipes.names()
  for spec, changes in recipes_of(
    commandkit.of_module(recipes.path(name)), name
  )
]


@pytest.mark.parametrize("name, spec, changes", SAMPLED)
def test_recipes_say_this_mode_of_what_samples_without_examples(
  name, spec, changes
):
  del name
  config = configs.load(str(recipes.folder().parent / spec))
  config = configs.override(config, changes)
  made = discovery.make(config.method.to_dict())
  assert made.sample_reads() == ()


def test_commands_of_recipes_are_found():
  assert len(SAMPLED) > 20
  assert ("dit_digits", "configs/dit_digits.py", ()) in SAMPLED
  trains = ["--config=configs/x.py:a=1", "--workdir=W"]
  samples = ["--mode=sample", "--workdir=W", "--config.b=2"]
  assert list(recipes_of([trains, samples], "x")) == [
    ("configs/x.py:a=1", ("b=2",))
  ]
  assert not list(recipes_of([trains, ["--mode=eval", *samples[1:]]], "x"))


def test_a_method_that_does_not_sample_is_named(run):
  config, workdir = run
  config = configs.override(config, ["evals.samples=None"])
  config.method = configs.section(
    type="mim.mae",
    variant="Ti/2",
    size=8,
    channels=1,
    width=16,
    depth=1,
    heads=2,
    decoder_width=16,
    decoder_depth=1,
    decoder_heads=2,
  )
  with pytest.raises(errors.UserError, match="mim.mae"):
    sample.run(config, workdir)


def test_samples_come_back_as_arrays(run):
  _, workdir = run
  found = jmim.run(workdir).sample(6, "sample.batch=4")
  assert found["image"].shape == (6, 8, 8, 1)
  assert found["image"].dtype == np.uint8
  assert found["index"].tolist() == [*range(6)]
  fewer = jmim.run(workdir).sample(3, "sample.batch=4")
  np.testing.assert_array_equal(fewer["image"], found["image"][:3])


@pytest.mark.parametrize(
  ("own", "data", "line"),
  [("a b", "data", "a b"), (None, "data", "data"), (None, None, "1 2")],
)
def test_the_method_s_words_come_before_those_of_the_data(own, data, line):
  method = types.SimpleNamespace(written=lambda tokens: own)
  source = types.SimpleNamespace(**({"text": lambda t: data} if data else {}))
  parts = types.SimpleNamespace(method=method, sources={"eval": source})
  assert sample.reader(parts)(np.array([1, 2])) == line


def clips(weights, batch, key):
  """Clips of 3 frames of 2 pixels; sample i is as bright as its number."""
  frames = jnp.arange(3.0)[:, None, None, None] + jnp.zeros((2, 2, 1))
  return (frames + 3 * batch["index"][:, None, None, None, None]) / 255


def test_a_method_of_clips_stores_frames():
  mesh = sharding.make_mesh({"data": -1, "fsdp": 1}, jax.devices()[:1])
  config = configs.base()
  config.data.update(mean=(0.0,), std=(1.0,), channels=1)
  config.sample.weights = "raw"
  method = types.SimpleNamespace(
    rt=runtime.Runtime(), predict=lambda: {"sample": clips}, inputs=dict
  )
  parts = types.SimpleNamespace(
    config=config,
    mesh=mesh,
    method=method,
    spec=pipeline.Spec(mean=(0.0,), std=(1.0,), channels=1),
    consts={},
  )
  state = types.SimpleNamespace(params={"main": {"x": jnp.ones(2)}}, extra={})
  made = sample.sampler(parts, state, 4)(np.arange(2, 5))
  assert set(made) == {"video", "index"}
  assert made["video"].shape == (3, 3, 2, 2, 1)
  np.testing.assert_array_equal(
    made["video"][..., 0, 0, 0], np.arange(6, 15).reshape(3, 3)
  )
