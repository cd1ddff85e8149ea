import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import method as methods
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


def test_one_image_has_no_neighbour(tmp_path, capsys):
  argv = ["--workdir=W", f"--out={tmp_path / 'a.png'}", "--num=1"]
  assert draw_swaps.main(argv) == 2
  assert "--num" in capsys.readouterr().err


def test_a_run_without_codes_is_refused(fill, stored):
  other = made(fill, "diffusion.ddpm", size=8, dims=DIMS)
  with pytest.raises(errors.UserError, match="diffusion.ddpm offers errors"):
    draw_swaps.columns(other, stored)
