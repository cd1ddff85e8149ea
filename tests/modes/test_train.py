"""Whole runs, in process, of a tiny MAE on the 8 x 8 digits."""

import json

import jax
import numpy as np
import PIL.Image
import pytest
import tinyrun

from jmim.checkpoints import store as checkpoint
from jmim.core import config as configs
from jmim.core import errors
from jmim.evals.lib import runner
from jmim.modes import train
from jmim.report import page
from jmim.runlog import writer


@pytest.fixture
def recipe(digits_home):
  return tinyrun.recipe(digits_home)


@pytest.fixture
def toy(digits_home):
  """Of what does not depend on the network."""
  return tinyrun.toy(digits_home)


def test_a_run_leaves_everything_in_its_workdir(recipe, tmp_path, capsys):
  train.run(recipe, tmp_path, verbose=True)
  shown = capsys.readouterr().out
  for text in (
    "parameters;",
    "FLOP",
    "mesh data=8",
    "Ten largest arrays",
    "step ",
    "MFU",
    "wait",
    "Evaluation at step 8",
    "probe/accuracy",
    "probe/accuracy: ",
  ):
    assert text in shown, text
  logged = writer.read(tmp_path)
  assert [x["step"] for x in logged if "lr" in x] == [2, 4, 6, 8]
  assert [x["step"] for x in logged if x.get("eval") == "loss"] == [4, 8]
  last = {k: v for x in logged if x["step"] == 8 for k, v in x.items()}
  for key in (
    "probe/accuracy",
    "probe/pixels_accuracy",
    "probe/untrained_accuracy",
    "ema_probe/accuracy",
    "knn/top1",
    "knn/top1_k20",
    "knn/pixels_top1",
    "knn/untrained_top1",
    "loss/loss",
    "recon/mse",
    "recon/mse_nearest",
  ):
    assert np.isfinite(last[key]), key
  shares = {k: v for k, v in last.items() if k.startswith("goodput/")}
  assert sum(shares.values()) == pytest.approx(1)
  for part in ("steps", "compile", "start", "eval", "checkpoint"):
    assert shares[f"goodput/{part}"] > 0, part
  assert shares["goodput/restart"] == 0
  assert last["probe/pixels_accuracy"] > 60  # plain digits are easy
  protocol = next(x["protocol"] for x in logged if x.get("eval") == "knn")
  assert protocol["k"] == [5, 20] and protocol["data.name"] == "digits/plain"
  config = checkpoint.read_config(tmp_path)
  assert config["method"]["mask_ratio"] == 0.75  # defaults are resolved
  picture = PIL.Image.open(tmp_path / "images/recon_sheet_00000008.png")
  assert min(picture.size) > 100
  assert list((tmp_path / "tensorboard").iterdir())
  assert (tmp_path / "checkpoints/8").is_dir()
  notes = json.loads((tmp_path / "run.json").read_text())
  assert notes["total"] == 8 and notes["starts"][0]["step"] == 0
  assert notes["defaults"]["evals.knn.temperature"] == 0.07
  assert "data=8" in dict(notes["hardware"]["rows"])["mesh"]
  shown = (tmp_path / "report.html").read_text()
  for text in ("probe/accuracy", "data:image/png", "checkpoints/8", "data=8"):
    assert text in shown, text


def test_a_report_that_fails_is_a_warning(toy, tmp_path, monkeypatch, capsys):
  def broken(*args):
    raise ZeroDivisionError("no such thing")

  monkeypatch.setattr(page, "write", broken)
  train.run(toy, tmp_path)
  shown = capsys.readouterr().out
  assert "report.html not written: ZeroDivisionError: no such thing" in shown
  assert "done: 8 steps" in shown


def test_interrupted_and_resumed_equals_uninterrupted(recipe, tmp_path):
  config = tinyrun.small(recipe)
  train.run(config, tmp_path / "whole")
  # Killed after step 7: step 6 is logged, step 4 is the checkpoint.
  with tinyrun.killed(8):
    train.run(config, tmp_path / "cut")
  assert checkpoint.Checkpoints(tmp_path / "cut").latest() == 4
  train.run(config, tmp_path / "cut")
  assert tinyrun.lines(tmp_path / "cut") == tinyrun.lines(tmp_path / "whole")
  whole = tinyrun.final_state(tmp_path / "whole", config)
  for name, leaf in tinyrun.final_state(tmp_path / "cut", config).items():
    np.testing.assert_array_equal(leaf, whole[name], name)


def test_goodput_goes_on_over_restarts(toy, tmp_path):
  config = tinyrun.small(toy, total_steps=4, log_steps=1)
  train.run(config, tmp_path)
  first = checkpoint.Checkpoints(tmp_path, write=False).meta(4)["clock"]
  assert first["seconds"]["compile"] > 0 == first["seconds"]["restart"]
  train.run(tinyrun.small(toy, total_steps=5, log_steps=1), tmp_path)
  last = checkpoint.Checkpoints(tmp_path, write=False).meta(5)["clock"]
  for name, seconds in first["seconds"].items():
    assert last["seconds"][name] >= seconds
  # From the first run's checkpoint to the second's first step, compiling and
  # the like excepted: less than all of the time between the two checkpoints.
  between = last["time"] - first["time"]
  assert 0 < last["seconds"]["restart"] < between
  spent = [sum(x["seconds"].values()) for x in (first, last)]
  assert spent[1] - spent[0] == pytest.approx(between, abs=0.1)


def test_a_trace_of_some_steps(toy, tmp_path, capsys):
  config = tinyrun.small(toy, total_steps=4, profile_steps="2:3")
  train.run(config, tmp_path)
  shown = capsys.readouterr().out
  assert "trace of 2 steps" in shown and "ms per step" in shown
  assert len(list((tmp_path / "profile").rglob("*.xplane.pb"))) == 1
  config.train.total_steps = 5
  train.run(config, tmp_path)
  assert "is behind us: no trace" in capsys.readouterr().out


def test_no_trace_unless_asked_for(toy, tmp_path, monkeypatch):
  monkeypatch.setattr(jax.profiler, "start_trace", pytest.fail)
  train.run(tinyrun.small(toy, total_steps=2), tmp_path)
  assert not (tmp_path / "profile").exists()


def content(workdir):
  """Path -> (bytes, time) of every file of a run."""
  files = [p for p in sorted(workdir.rglob("*")) if p.is_file()]
  return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_a_finished_run_says_so_and_changes_nothing(
  toy, tmp_path, capsys, monkeypatch
):
  config = tinyrun.small(toy, keep=("loss",), total_steps=2)
  train.run(config, tmp_path)
  before = content(tmp_path)
  capsys.readouterr()
  monkeypatch.setattr(train.readiness, "prepare", pytest.fail)
  config.hardware.prefetch = 3  # how it would be run does not matter
  train.run(config, tmp_path)
  shown = capsys.readouterr().out
  assert "is finished, after 2 steps: nothing to do" in shown
  assert "compiled" not in shown and content(tmp_path) == before
  for item in ("optim.lr=0.5", "train.total_steps=1", "evals.loss=None"):
    with pytest.raises(errors.UserError, match="more steps") as e:
      train.run(configs.override(config, [item]), tmp_path)
    assert e.value.key.startswith(item.partition("=")[0])
    assert content(tmp_path) == before


def test_what_a_finished_run_still_lacks_is_made_up_for(toy, tmp_path, capsys):
  config = tinyrun.small(toy, keep=("loss",), total_steps=2)
  train.run(config, tmp_path)
  path = tmp_path / "metrics.jsonl"
  lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
  kept = [x for x in lines if json.loads(x).get("eval") != "loss"]
  path.write_text("".join(kept), encoding="utf-8")
  train.run(config, tmp_path)
  assert "resumed from step 2" in capsys.readouterr().out
  assert [x.get("eval") for x in writer.read(tmp_path)].count("loss") == 1


def test_an_evaluation_lost_to_a_crash_is_made_up_for(
  toy, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    patch.setattr(
      runner, "run", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
      train.run(toy, tmp_path)  # dies in the evaluation at step 4
  train.run(toy, tmp_path)
  done = [x["step"] for x in writer.read(tmp_path) if x.get("eval") == "loss"]
  assert done == [4, 8]


def test_changed_keys_are_named_when_resuming(toy, tmp_path, capsys):
  train.run(tinyrun.small(toy, total_steps=2), tmp_path)
  capsys.readouterr()
  train.run(tinyrun.small(toy, total_steps=4), tmp_path)
  assert "train.total_steps: 2 -> 4" in capsys.readouterr().out


def twenty(recipe, fsdp):
  """A run of 20 steps with parameters over that many devices."""
  config = tinyrun.small(
    recipe, total_steps=20, log_steps=1, checkpoint_steps=0
  )
  config.hardware.mesh.fsdp = fsdp
  config.hardware.fsdp_min_size = 256
  return config


@pytest.fixture(scope="module")
def alone(digits_home, tmp_path_factory):
  """Losses of that run on one device."""
  workdir = tmp_path_factory.mktemp("one")
  one = jax.devices()[:1]
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(jax, "devices", lambda *a: one)
    train.run(twenty(tinyrun.recipe(digits_home), 1), workdir)
  return [x["loss"] for x in writer.read(workdir)]


@pytest.mark.parametrize("fsdp", [1, 8])
def test_eight_devices_equal_one(recipe, alone, tmp_path, fsdp):
  train.run(twenty(recipe, fsdp), tmp_path)
  eight = [x["loss"] for x in writer.read(tmp_path)]
  np.testing.assert_allclose(eight, alone, rtol=1e-5)
  assert len(alone) == 20


def test_fine_tuning_starts_from_the_encoder_of_another_run(
  recipe, tmp_path, capsys
):
  before = tinyrun.small(recipe, total_steps=2)
  train.run(before, tmp_path / "pre")
  config = tinyrun.small(recipe, total_steps=1)
  config.method = configs.section(
    type="supervised.finetune",
    dims=configs.section(variant="Ti/2", width=32, depth=2, heads=2),
    size=8,
    channels=1,
    classes=10,
    mixup=0.8,
    cutmix=1.0,
  )
  config.optim.lr = 0.0
  config.evals = configs.section(accuracy=configs.section(type="accuracy"))
  config.init_from.update(path=str(tmp_path / "pre"), reinit=("pos_embed$",))
  with pytest.raises(errors.UserError) as e:
    train.run(config, tmp_path / "post")
  for name in ("decoder/mask_token", "encoder/norm/scale", "head/head/kernel"):
    assert name in e.value.seen
  assert not (tmp_path / "post" / "config.json").exists()
  config.init_from.update(
    skip=("^main/decoder/", "^main/encoder/norm/"),
    reinit=("^main/head/", "pos_embed$"),
  )
  train.run(config, tmp_path / "post")
  told = capsys.readouterr().out.replace("\n", "")  # lines may be folded
  assert "fresh: main/encoder/pos_embed, main/head" in told
  old = tinyrun.final_state(tmp_path / "pre", before)
  new = tinyrun.final_state(tmp_path / "post", config)
  moved = [n for n in new if n.startswith(("params/main/enc", "ema/main/enc"))]
  assert len(moved) > 20
  for name in moved:
    if not name.endswith("pos_embed"):
      saved = old[name.replace("ema/", "params/")]
      np.testing.assert_allclose(new[name], saved, rtol=1e-6, err_msg=name)
  last = writer.read(tmp_path / "post")[-1]
  assert last["accuracy/examples"] == 400


def test_a_diverging_run_stops_and_names_the_steps(recipe, tmp_path):
  config = tinyrun.small(recipe, max_skips=3, total_steps=40)
  config.method.norm_pix = False
  config.data.std = (1e-38,)  # overflows in the loss
  with pytest.raises(errors.Diverged, match=r"steps 1 to 4"):
    train.run(config, tmp_path)
  logged = [json.dumps(x) for x in writer.read(tmp_path)]
  assert any('"skipped_steps": 4' in x for x in logged)
