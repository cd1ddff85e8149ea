import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from jmim.checkpoints import heads
from jmim.checkpoints import models
from jmim.checkpoints import store as checkpoint
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import method as methods
from jmim.runlog import writer as writers
from jmim.tools import draw_swaps


def made(fill, kind, **fields):
  """A model with random weights; its data is what a test gives."""
  config = configs.base()
  config.data.update(size=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.method = configs.section(type=kind, **fields)
  method = discovery.make(config.method)
  batch = {"image": jnp.zeros((1, 8, 8, 3))}
  params, extra = fill(method, batch, scale=0.1)
  consts = {n: fill(c, scale=0.1) for n, c in method.consts().items()}
  weights = methods.Weights(params, extra, consts)
  return models.Model(config=config, method=method, weights=weights)


DIMS = dict(
  width=8, multipliers=(1, 2), blocks=1, attend_at=(), heads=2, norm_groups=4
)


@pytest.fixture(scope="module")
def model(fill):
  return made(
    fill,
    "diffusion.diti",
    size=8,
    dims=DIMS,
    noise=dict(times=20, beta_end=0.3),
    encoder=dict(widths=(4, 8), heads=2, norm_groups=2),
    blocks=dict(width=8, blocks=4, stages=(), stage_widths=()),
    sampling=dict(steps=2, inversion=2),
  )


@pytest.fixture
def stored():
  return np.random.default_rng(0).integers(256, size=(3, 8, 8, 3), dtype="u1")


def test_columns_are_shares_of_another_s_code(
  model, stored, monkeypatch, tmp_path, capsys
):
  monkeypatch.setattr(models, "of_run", lambda *args: model)
  monkeypatch.setattr(draw_swaps, "images", lambda model, num: stored[:num])
  found = draw_swaps.columns(model, stored)
  assert list(found) == ["image", "0 %", "25 %", "50 %", "75 %", "100 %"]
  assert {x.dtype for x in found.values()} == {np.dtype("u1")}
  out = tmp_path / "swaps.png"
  assert draw_swaps.main(["--workdir=W", f"--out={out}", "--num=3"]) == 0
  with PIL.Image.open(out) as picture:
    assert picture.width > 6 * 100
  assert capsys.readouterr().out == f"done: {out}\n"


NAMES = ("shape=0", "shape=1")


@pytest.fixture
def head():
  rng = np.random.default_rng(1)
  return heads.Head(
    predict="features",
    kernel=rng.normal(size=(8, 2)).astype("f4"),
    bias=np.zeros(2, "f4"),
    names=NAMES,
    std=rng.uniform(0.5, 2, size=8).astype("f4"),
  )


def test_images_are_moved_along_a_probe(model, stored, head):
  """0 is the reconstruction; the others are what `manipulated` makes."""
  found = draw_swaps.moved(model, stored, head, name="shape=1")
  assert list(found) == ["image", "-0.6", "-0.3", "+0", "+0.3", "+0.6"]
  walks = model.method.walks(model.weights)
  x = 2 * (stored / 255) - 1
  pixels = lambda x: np.clip(127.5 * (np.asarray(x) + 1), 0, 255)
  made = walks.restore({"image": x}, None)["image"]
  assert np.abs(found["+0"] - pixels(made)).max() < 1.01
  std = head.std
  moved = walks.manipulated(x, std * head.kernel[:, 1], std, strength=0.6)
  assert np.abs(found["+0.6"] - pixels(moved)).max() < 1.01
  assert np.abs(made - moved).max() > 1e-3


def saved(workdir, head):
  """A run with a checkpoint and the probe of it."""
  store = checkpoint.Checkpoints(workdir)
  store.save(7, {"x": jnp.zeros(1)}, {})
  store.close()
  writer = writers.Writer(workdir)
  writer.head(7, "attributes", weights="ema", **head._asdict())
  writer.close()


@pytest.mark.parametrize(
  ("flags", "seen"),
  [
    ([], ""),
    (["--attribute=size=1"], "shape=0, shape=1"),
    (["--attribute=shape=1", "--keep=9"], "0 .. 8"),
    (["--attribute=shape=1", "--evaluator=probe"], "--evaluator=probe: none"),
  ],
)
def test_a_probe_is_that_of_the_run(head, tmp_path, flags, seen):
  saved(tmp_path, head)
  flags = flags or ["--attribute=shape=1"]
  args = draw_swaps.parse([f"--workdir={tmp_path}", "--out=a.png", *flags])
  if not seen:
    assert draw_swaps.probe(args).names == NAMES
    return
  with pytest.raises(errors.UserError, match=seen):
    draw_swaps.probe(args)


def test_a_run_is_only_looked_at(head, tmp_path):
  """Its training may be writing a checkpoint, or deleting one, just now."""
  saved(tmp_path, head)
  folder = tmp_path / "checkpoints"
  for name in ("8.orbax-checkpoint-tmp", "trash"):
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "half").write_text("being written")
  listed = lambda: {
    (p, p.lstat().st_mtime_ns, p.is_file() and p.read_bytes())
    for p in tmp_path.rglob("*")
  }
  before = listed()
  argv = [f"--workdir={tmp_path}", "--out=a.png", "--attribute=shape=1"]
  assert draw_swaps.probe(draw_swaps.parse(argv)).names == NAMES
  assert listed() == before


def test_a_method_without_codes_is_not_moved(fill, stored, head):
  other = made(fill, "diffusion.ddpm", size=8, dims=DIMS)
  with pytest.raises(errors.UserError, match="no walks"):
    draw_swaps.moved(other, stored, head, name="shape=1")


def test_one_image_has_no_neighbour(tmp_path, capsys):
  argv = ["--workdir=W", f"--out={tmp_path / 'a.png'}", "--num=1"]
  assert draw_swaps.main(argv) == 2
  assert "--num" in capsys.readouterr().err


def test_a_run_without_codes_is_refused(fill, stored):
  other = made(fill, "diffusion.ddpm", size=8, dims=DIMS)
  with pytest.raises(errors.UserError, match="diffusion.ddpm offers errors"):
    draw_swaps.columns(other, stored)
