import dataclasses

import jax.numpy as jnp
import PIL.Image
import pytest

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import method as methods
from jmim.tools import draw_sizes

KEY = "method.first_stage.implicit.side"


@pytest.fixture(scope="module")
def model(fill):
  """The tiny method, unconditional, with random weights."""
  config = configs.base()
  config.data.update(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.method = configs.section(
    type="latent.arbscale",
    size=2,
    dims=configs.section(
      width=8, multipliers=(1,), blocks=1, attend_at=(), heads=2, norm_groups=4
    ),
    first_stage=configs.section(
      width=4,
      blocks=1,
      scale=1.0,
      path="W",
      implicit=configs.section(hidden=(5,)),
    ),
    sampling=configs.section(steps=1),
  )
  method = discovery.make(config.method)
  batch = {"image": jnp.zeros((1, 8, 8, 3))}
  params, extra = fill(method, batch, scale=0.1)
  first = fill(method.first_stage.net, scale=0.1)
  weights = methods.Weights(params, extra, {"first_stage": first})
  return models.Model(config=config, method=method, weights=weights)


def test_a_column_is_a_size_and_all_are_shown_equally_large(
  model, monkeypatch, tmp_path, capsys
):
  monkeypatch.setattr(models, "of_run", lambda *args: model)
  found = draw_sizes.columns(model, KEY, (4, 12), 2)
  assert {n: x.shape for n, x in found.items()} == {
    "4 px": (2, 4, 4, 3),
    "12 px": (2, 12, 12, 3),
  }
  out = tmp_path / "sizes.png"
  argv = ["--workdir=W", f"--out={out}", "--sizes=4,12", "--num=2"]
  assert draw_sizes.main(argv) == 0
  with PIL.Image.open(out) as picture:
    assert picture.width > 2 * 128 and picture.height > 2 * 128
  assert capsys.readouterr().out == f"done: {out}\n"


@pytest.mark.parametrize("sizes", ["", "8,0", "8,x"])
def test_sizes_that_are_none_are_refused(sizes, tmp_path, capsys):
  argv = ["--workdir=W", f"--out={tmp_path / 'a.png'}", f"--sizes={sizes}"]
  assert draw_sizes.main(argv) == 2
  assert "--sizes" in capsys.readouterr().err


def test_a_run_that_does_not_sample_is_refused(model):
  bare = configs.override(model.config, ["method.first_stage.path="])
  model = dataclasses.replace(model, config=bare)
  with pytest.raises(errors.UserError, match="does not sample"):
    draw_sizes.columns(model, KEY, (4,), 2)
