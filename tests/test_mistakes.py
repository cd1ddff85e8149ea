"""What users get wrong: one screen, the key to change, exit code 2.

All of them are found before anything is compiled.
"""

import copy
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import mistakes
import ml_collections
import numpy as np
import PIL.Image
import pytest
from absl import flags

from jmim import main
from jmim.checkpoints import frozen
from jmim.checkpoints import store as checkpoint
from jmim.core import discovery
from jmim.core import state as states
from jmim.parallel import topology
from jmim.tools import mount

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECIPE = mistakes.ASKED
LINES = 24  # of a small terminal

# Small, few steps, no evaluator that needs more images.
TINY = [
  "data.name=folder",
  "data.batch=8",
  "train.total_steps=2",
  "schedule.warmup_steps=0",
  "hardware.compile_cache=",
  "method.dims.width=16",
  "method.dims.heads=2",
  "method.dims.depth=1",
  "method.decoder_dims.width=16",
  "method.decoder_dims.heads=2",
  "evals.loss=None",
  "evals.recon=None",
]


def draw(folder, split, size=(32, 32), n=6):
  """Random PNGs in two class folders."""
  rng = np.random.default_rng(0)
  for label in "ab":
    target = folder / split / label
    target.mkdir(parents=True)
    for i in range(n):
      pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
      PIL.Image.fromarray(pixels).save(target / f"{i}.png")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
  folder = tmp_path_factory.mktemp("images")
  draw(folder, "train")
  draw(folder, "test")
  return folder


def command(folder, workdir, *changes):
  """Arguments of a run that is right but for the changes.

  A change is "key=value" of the config, or a "--flag=value".
  """
  right = [*TINY, f"data.data_dir={folder}"]
  made = [RECIPE, f"--workdir={workdir}"]
  made += [c if c.startswith("--") else f"--config.{c}" for c in right]
  return made + [c if c[:2] == "--" else f"--config.{c}" for c in changes]


@pytest.fixture
def call(monkeypatch, capfd, restored_flags):
  """Runs jmim.main as the shell would; returns (exit code, stderr)."""

  def compiled(*args, **kwargs):
    raise AssertionError("compiled")

  def run(*argv):
    monkeypatch.setattr(sys, "argv", ["jmim", *argv])
    monkeypatch.setattr(jax.stages.Lowered, "compile", compiled)
    # It turns off the compile cache of this process.
    monkeypatch.setattr(topology, "prepare", lambda text: None)
    capfd.readouterr()
    for name in ("config", "workdir", "mode", "topology", "num", "replay_step"):
      flags.FLAGS[name].value = flags.FLAGS[name].default
    with pytest.raises(SystemExit) as e:
      main.run()
    return e.value.code, capfd.readouterr().err

  return run


def check(code, err, *words):
  """Exit code 2 and one screen that holds the words."""
  assert code == 2, err
  assert "Traceback" not in err
  assert len(err.splitlines()) <= LINES, err
  for label in ("seen", "expected", "fix"):
    assert re.search(rf"^ *{label}: \S", err, re.M), err
  for word in words:
    assert word in err, err


@pytest.mark.parametrize(
  "changes, words",
  [m[1:] for m in mistakes.MISTAKES],
  ids=[m[0] for m in mistakes.MISTAKES],
)
def test_a_mistake_is_one_screen_and_leaves_no_trace(
  call, images, tmp_path, changes, words
):
  workdir = tmp_path / "run"
  code, err = call(*command(images, workdir, *changes))
  check(code, err, *words)
  assert not workdir.exists()


@pytest.mark.parametrize(
  "changes, words",
  [m[1:] for m in mistakes.PROCEDURES],
  ids=[m[0] for m in mistakes.PROCEDURES],
)
def test_a_mistake_with_a_procedure(call, tmp_path, changes, words):
  workdir = tmp_path / "run"
  recipe = f"--config={mistakes.PROCEDURE}"
  code, err = call(recipe, f"--workdir={workdir}", *changes)
  check(code, err, *words)
  assert not workdir.exists()


# Mistakes in files rather than on the command line.


def broken_images(folder):
  for path in folder.rglob("*.png"):
    path.write_bytes(path.read_bytes()[:30])


FOLDERS = {
  "empty": (
    lambda f: [shutil.rmtree(f / s) for s in ("train", "test")],
    ["data.data_dir", "0 images"],
  ),
  "no class has images": (
    lambda f: [p.unlink() for p in f.rglob("*.png")],
    ["data.data_dir"],
  ),
  "no test split": (lambda f: shutil.rmtree(f / "test"), ["data.eval_split"]),
  "broken images": (broken_images, ["data.on_bad_record", ".png"]),
  "other sizes": (
    lambda f: [shutil.rmtree(f / "train"), draw(f, "train", (40, 32))],
    ["data.host_crop", "40 x 32", "center"],
  ),
  "other sizes to evaluate": (
    lambda f: [shutil.rmtree(f / "test"), draw(f, "test", (40, 32))],
    ["data.eval_crop", "40 x 32", "center"],
  ),
}


@pytest.mark.parametrize("change, words", FOLDERS.values(), ids=FOLDERS.keys())
def test_a_folder_of_images_that_is_wrong(
  call, images, tmp_path, change, words
):
  folder, workdir = tmp_path / "images", tmp_path / "run"
  shutil.copytree(images, folder)
  change(folder)
  check(*call(*command(folder, workdir)), *words)
  assert not list(workdir.glob("checkpoints/*"))


def hosted(more=""):
  """The line of a recipe of a method that is laid over a host."""
  return (
    "config.method = configs.section(type='diffusion.difffit',"
    " size=config.method.size,"
    f" dims=dict(variant='S/4', width=16, depth=1, heads=2){more});"
    " config.evals.probe.predict = 'features'"
  )


def restoring(more):
  """The line of a recipe of a small DifFace."""
  return (
    "config.method = configs.section(type='restore.difface', size=32,"
    " dims=dict(multipliers=(1, 2), level_blocks=(), blocks=1, attend_at=()),"
    f" {more}); config.evals.probe = None"
  )


RECIPES = {
  "two durations": (
    "config.train.update(total_steps=10, total_epochs=2.0)",
    ["total_steps=10", "total_epochs=2.0", "train.total_"],
  ),
  "two units of an evaluator": (
    "config.evals.probe.update(every_steps=1, every_epochs=2.0)",
    ["evals.probe.every_"],
  ),
  "warm-up in epochs": (
    "config.schedule.update(warmup_share=0.0, warmup_epochs=90.0)",
    ["schedule.warmup", "train.total"],
  ),
  "warm-up twice": (
    "config.schedule.update(warmup_share=0.1, warmup_epochs=0.1)",
    ["schedule.warmup_share", "warmup_epochs"],
  ),
  "key that does not exist": (
    "config.optim.learning = 0.1",
    ["optim.learning", "optim.lr"],
  ),
  "section replaced": (
    "config.optim = configs.section(lr=0.1)",
    ["optim.", "base()"],
  ),
  "mixing that attends to nothing": (
    "config.method = configs.section(type='mim.mixedae', topk_ratio=1e-3,"
    " size=config.method.size, dims=dict(variant='Ti/4'))",
    ["method.topk_ratio"],
  ),
  "masked tokens in windows": (
    "config.method = configs.section(type='mim.mto', size=config.method.size,"
    " backbone=dict(variant='SwinB/4'))",
    ["method.backbone.variant", "ViT", "windows"],
  ),
  "all pixels of a side that is drawn": (
    "config.method = configs.section(type='latent.autoencoder_inr', size=32,"
    " pixels=dict(count=0))",
    ["pixels.count=0", "(64, 256)"],
  ),
  "side of images that have one": (
    "config.method = configs.section(type='latent.ldm', size=8,"
    " first_stage=dict(variant='kl-f4', implicit=dict(side=64)))",
    ["first_stage.implicit.side 64", "first_stage.implicit.hidden=()"],
  ),
  "statistics of latents without latents": (
    "config.method = configs.section(type='diffusion.dit', size=32,"
    " channels=3, first_stage=dict(variant='none', statistics='S.npz'))",
    ["first_stage.statistics='S.npz'", "images are no latents"],
  ),
  "no file of statistics of latents": (
    "config.method = configs.section(type='diffusion.dit', size=8, channels=3,"
    " first_stage=dict(read='images', variant='kl-f4', statistics='S.npz'));"
    " config.evals.probe.predict = 'features'",
    ["method.first_stage.statistics", "latent_statistics: no file S.npz"],
  ),
  "latents aligned with nothing": (
    "config.method = configs.section(type='latent.va_vae', size=32,"
    " teacher=dict(family='none'))",
    ["method.teacher.family", "a VA-VAE has one"],
  ),
  "supports beyond the scenes": (
    "config.method = configs.section(type='dense.diffews', size=32,"
    " channels=3, first_stage=dict(variant='none'), episode=dict(shots=7))",
    ["episode.shots=7", "episode.scenes=6"],
  ),
  "masks among stored moments": (
    "config.method = configs.section(type='dense.diffews', size=8,"
    " first_stage=dict(read='moments'))",
    ["first_stage.read='images'", "masks are encoded"],
  ),
  "examples alone for a method of groups": (
    "config.method = configs.section(type='edit.oripid', size=32, channels=3,"
    " first_stage=dict(variant='none'));"
    " config.evals.probe.predict = 'features'",
    ["data.group=''", "(4, 32, 32, 3)", "data.members=4"],
  ),
  "a network on what are no pixels": (
    "config.method = configs.section(type='edit.oripid', convolutions=8)",
    ["method.convolutions=8", "method.first_stage.variant='none'"],
  ),
  "heads of other levels": (
    "config.method = configs.section(type='diffusion.ddpm', size=32,"
    " dims=dict(level_heads=(1, 2)))",
    ["dims.level_heads=(1, 2)", "4 multipliers"],
  ),
  "no host": (
    hosted(),
    ["method.host.path", "no file", "workdir of a run"],
  ),
  "a host that is no run": (
    hosted(f", host=dict(path={str(ROOT / 'configs')!r})"),
    ["method.host.path", "no checkpoint", "workdir of a run"],
  ),
  "scales in blocks that are none": (
    hosted(", scales=dict(first=2)"),
    ["method.scales.first", "of 1 blocks"],
  ),
  "labels of a host without new ones": (
    hosted(", host_classes=3"),
    ["method.host_classes", "labels.classes"],
  ),
  "stages of other times": (
    "config.method = configs.section(type='diffusion.diti', size=32,"
    " blocks=dict(stages=(50, 100), stage_widths=(10, 502)))",
    ["blocks.stages=(50, 100)", "the last 1000", "noise.times"],
  ),
  "widths of stages that are not the code's": (
    "config.method = configs.section(type='diffusion.diti', size=32,"
    " blocks=dict(stages=(500, 1000), stage_widths=(10, 50)))",
    ["blocks.stage_widths=(10, 50)", "60 numbers", "blocks.width"],
  ),
  "a restoration from beyond its path": (
    restoring("contraction=dict(start=250)"),
    ["contraction.start=250 of 250", "sampling.steps", "at most 249"],
  ),
  "a restorer that is no run": (
    restoring(f"restorer=dict(host=dict(path={str(ROOT / 'configs')!r}))"),
    ["method.restorer.host.path", "no checkpoint", "workdir of a run"],
  ),
  "queries of no data set": (
    "config.evals.asked = configs.section(type='retrieval', queries='edits')",
    ["evals.asked.queries", "edits"],
  ),
  "no method": ("config.method.type = ''", ["method.type"]),
  "config not returned": ("return None", ["--config", "return config"]),
}


@pytest.mark.parametrize("line, words", RECIPES.values(), ids=RECIPES.keys())
def test_a_recipe_that_is_wrong(call, images, tmp_path, line, words):
  recipe = tmp_path / "recipe.py"
  text = (ROOT / "configs" / "mae_digits.py").read_text()
  recipe.write_text(
    text.replace("  return config\n", f"  {line}\n  return config\n")
  )
  own = [
    a for a in TINY if not line.startswith("config.train") or "total" not in a
  ]
  if line.startswith("config.method = "):
    own = [a for a in own if not a.startswith("method.")]
  argv = [f"--config={recipe}", f"--workdir={tmp_path / 'run'}"]
  argv += [f"--config.{a}" for a in (*own, f"data.data_dir={images}")]
  check(*call(*argv), *words)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  "text, word", [("x = 1\n", "get_config"), (None, "no Python file")]
)
def test_a_file_that_is_no_recipe(call, tmp_path, text, word):
  recipe = tmp_path / ("recipe.py" if text else "recipe.txt")
  recipe.write_text(text or "x = 1")
  code, err = call(f"--config={recipe}", f"--workdir={tmp_path / 'run'}")
  check(code, err, "--config", word)


def test_no_config_and_no_workdir(call, tmp_path):
  check(*call(f"--workdir={tmp_path}"), "--config", "mae_digits")
  check(*call(RECIPE), "--workdir")
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_the_place_of_the_workdir(call, images, tmp_path, below):
  (tmp_path / "file").write_text("mine")
  argv = command(images, tmp_path / "file" / below)
  check(*call(*argv), "--workdir", str(tmp_path / "file"))
  assert (tmp_path / "file").read_text() == "mine"


def test_help_is_no_mistake(call):
  code, err = call("--help")
  assert (code, err) == (0, "")


# In a process of its own, as users run it.


def shell(*argv):
  """Exit code and stderr of `python -m jmim.main`."""
  done = subprocess.run(
    [sys.executable, "-m", "jmim.main", *argv],
    cwd=ROOT,
    env=dict(os.environ),
    capture_output=True,
    text=True,
  )
  return done.returncode, done.stderr


def test_the_shell_sees_the_same(images, tmp_path):
  argv = command(images, tmp_path / "run", "method.dims.heads=5")
  check(*shell(*argv), "method.dims.heads")
  assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
  """The workdir of a finished run of two steps."""
  workdir = tmp_path_factory.mktemp("trained") / "run"
  code, err = shell(*command(images, workdir, "evals.probe=None"))
  assert code == 0, err
  return workdir


def test_a_checkpoint_of_another_model(call, images, trained, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(trained, workdir)
  argv = command(images, workdir, "method.dims.width=32")
  check(*call(*argv), "method.dims.width: 16 -> 32", "is finished")
  argv = command(images, workdir, "method.dims.width=32", "train.total_steps=4")
  check(*call(*argv), "--workdir", "another model", "shape of", "(16")
  assert [p.name for p in (workdir / "checkpoints").iterdir()] == ["2"]


def test_a_run_that_is_no_diffusion_model(call, trained, tmp_path):
  key = "procedure.source.path"
  code, err = call(
    f"--config={mistakes.PROCEDURE}",
    "--mode=apply",
    f"--workdir={tmp_path / 'run'}",
    f"--config.{key}={trained}",
  )
  check(code, err, key, "mim.mae", "diffusion model")
  # What is trained is no place for what a procedure makes.
  assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_cannot_be_read(images, trained, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(trained, workdir)
  for path in (workdir / "checkpoints" / "2" / "state").rglob("d/*"):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  code, err = shell(*command(images, workdir))
  check(code, err, "--workdir", "delete", str(workdir / "checkpoints" / "2"))


# Methods that read another run: what they are, what that run is, and where
# they name it.
UNET = dict(
  width=16, multipliers=(1, 2), blocks=1, attend_at=(2,), heads=2, norm_groups=4
)
NO_STAGE = dict(variant="none")
STUDENT = dict(
  type="diffusion.linfusion",
  size=32,
  channels=3,
  dims=UNET,
  first_stage=NO_STAGE,
  labels=dict(classes=10),
  condition=dict(task="class", context=8, transformer=1),
)
TEACHER = {k: x for k, x in STUDENT.items() if k != "type"}
CODE = dict(width=8, multipliers=(1, 2), blocks=1)
IMPLICIT = dict(hidden=(8,))
STRINGS = dict(
  encoder="32d4,32t8,8d8,8t1,1",
  encoder_widths="32:8,8:8,1:6",
  decoder="1,1u8,1t8,8u4,8t32,32",
  decoder_widths="32:8,8:8,1:6",
)
FITTED = dict(type="diffusion.difffit", size=32, channels=3)
FITTED |= dict(dims=dict(variant="S/4", width=16, depth=1, heads=2))
FITTED["first_stage"] = NO_STAGE
READERS = {
  "diti": (
    dict(
      type="diffusion.diti",
      size=32,
      dims=UNET | dict(scale_shift=True, updown=True, dropout=0.0),
      encoder=dict(widths=(8, 16), heads=2, norm_groups=4),
      blocks=dict(width=8, blocks=4, stages=(), stage_widths=()),
    ),
    dict(
      type="diffusion.ddpm",
      size=32,
      dims=UNET | dict(scale_shift=True, updown=True),
    ),
    "host.path",
  ),
  "linfusion": (STUDENT, dict(type="latent.ldm", **TEACHER), "host.path"),
  "difffit": (FITTED, FITTED | dict(type="diffusion.dit"), "host.path"),
  "arbscale": (
    dict(
      type="latent.arbscale",
      size=8,
      dims=UNET,
      first_stage=dict(variant="ae-f4", implicit=IMPLICIT, width=8, blocks=1),
    ),
    dict(
      type="latent.autoencoder_inr",
      size=32,
      dims=dict(variant="ae-f4", width=8, blocks=1),
      implicit=IMPLICIT,
      pixels=dict(count=16, sides=(16, 32)),
    ),
    "first_stage.path",
  ),
  "diffusevae": (
    dict(type="latent.diffusevae", dims=UNET, coarse=dict(dims=STRINGS)),
    dict(type="latent.diffusevae_vae", dims=STRINGS),
    "coarse.path",
  ),
}
# Reader -> change of that run, and what the screen holds.
OTHERS = [
  ("diti", "dims.norm_groups", 8, ["method.dims.norm_groups", "norm_groups=8"]),
  ("diti", "labels.classes", 10, ["label_embed", "host.path"]),
  ("diti", "prediction", "v", ["prediction=v", "host.path"]),
  ("diti", "dims.width", 32, ["host.path", "0 networks that fit"]),
  ("linfusion", "noise.times", 500, ["noise.times=500", "method.noise.times"]),
  ("linfusion", "dims.heads", 0, ["dims.heads=0", "method.dims.heads"]),
  ("linfusion", "dims.blocks", 2, ["host.path"]),
  ("difffit", "dims.heads", 4, ["dims.heads=4", "method.dims.heads"]),
  ("difffit", "dims.width", 32, ["host.path", "0 networks that fit"]),
  ("arbscale", "dims.width", 16, ["first_stage.path", "0 networks that fit"]),
  ("diffusevae", "dims.encoder_widths", "32:4,8:8,1:6", ["coarse.path"]),
]


def stored(folder, section):
  """A run of a method: its config, and parameters of zeros."""
  config = ml_collections.ConfigDict(section)
  method = discovery.make(config)
  shapes = {n: (1, *x.shape) for n, x in method.inputs().items()}
  batch = {n: jnp.zeros(x, jnp.float32) for n, x in shapes.items()}
  batch |= {"label": jnp.zeros(1, jnp.int32)} if "label" in shapes else {}
  made = jax.eval_shape(method.init, jax.random.key(0), batch)
  params, extra = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), made)
  zero = np.int32(0)
  state = states.State(
    step=np.int32(1),
    params=params,
    opt={},
    ema={},
    extra=extra,
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )
  store = checkpoint.Checkpoints(folder)
  store.save(1, state, {})
  store.close()
  text = json.dumps({"method": config.to_dict(), "data": {}})
  (folder / "config.json").write_text(text)
  return folder


def with_run(name, path, folder):
  """A recipe of a reader whose key names a path."""
  reader, _, key = READERS[name]
  lines = [f"config.method = configs.section(**{reader!r})"]
  lines += [f"config.method.update({{{key.partition('.')[0]!r}: PART}})"]
  part = dict(reader.get(key.partition(".")[0], {}), path=str(path))
  lines += ["config.evals = configs.section()"]
  text = (ROOT / "configs" / "mae_digits.py").read_text()
  lines[1] = lines[1].replace("PART", repr(part))
  made = "".join(f"  {line}\n" for line in lines)
  recipe = folder / "recipe.py"
  recipe.write_text(
    text.replace("  return config\n", f"{made}  return config\n")
  )
  return recipe


def start(call, images, recipe, folder):
  """Of a run of that recipe: (exit code, stderr)."""
  own = [a for a in TINY if not a.startswith(("method.", "evals."))]
  more = [*own, f"data.data_dir={images}", "data.mean=(0.5, 0.5, 0.5)"]
  more += ["data.std=(0.5, 0.5, 0.5)", "data.size=32"]
  argv = [f"--config={recipe}", f"--workdir={folder / 'run'}"]
  return call(*argv, *(f"--config.{a}" for a in more))


@pytest.mark.parametrize("name", READERS)
def test_a_run_that_fits_is_read(tmp_path, name):
  """So that what is refused below is refused for what was changed."""
  reader, other, key = READERS[name]
  part, field = key.split(".")
  path = {field: str(stored(tmp_path, other))}
  section = reader | {part: reader.get(part, {}) | path}
  consts = discovery.make(ml_collections.ConfigDict(section)).consts()
  found = frozen.load_all(consts)
  assert all(not x.any() for x in jax.tree.leaves(found))


@pytest.mark.parametrize("name", READERS)
def test_a_run_that_is_missing(call, images, tmp_path, name):
  recipe = with_run(name, tmp_path / "nowhere", tmp_path)
  code, err = start(call, images, recipe, tmp_path)
  check(code, err, f"method.{READERS[name][2]}", "nowhere")


@pytest.mark.parametrize(("name", "field", "value", "words"), OTHERS)
def test_a_run_that_does_not_fit(
  call, images, tmp_path, name, field, value, words
):
  other = copy.deepcopy(READERS[name][1])
  *parts, last = field.split(".")
  functools.reduce(lambda x, n: x.setdefault(n, {}), parts, other)[last] = value
  run = stored(tmp_path / "other", other)
  recipe = with_run(name, run, tmp_path)
  check(*start(call, images, recipe, tmp_path), *words)
  assert not (tmp_path / "run").exists()


def test_mounting_on_what_does_not_fit(tmp_path, capsys):
  part = stored(tmp_path / "part", FITTED)
  argv = [f"--part={part}", f"--out={tmp_path / 'out'}"]
  wide = FITTED | dict(
    type="diffusion.dit", dims=FITTED["dims"] | {"width": 32}
  )
  hosts = {
    "nowhere": ["nowhere"],
    str(stored(tmp_path / "host", wide)): ["0 networks that fit"],
  }
  for host, words in hosts.items():
    code = mount.main([*argv, f"--host={host}"])
    check(code, capsys.readouterr().err, *words)
  code = mount.main([f"--part={tmp_path}", *argv[1:], "--host=H"])
  check(code, capsys.readouterr().err, str(tmp_path))
