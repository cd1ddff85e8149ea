"""Pairs of a run: what is stored is what the run samples, and trains turbo."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import method as methods
from jmim.data import sources
from jmim.methods.video import step_video
from jmim.methods.video import step_video_turbo
from jmim.tools import make_pairs

TINY = step_video.StepVideo.tiny()
LABELS = np.asarray([0, 2, 1, 1, 2])


@pytest.fixture(scope="module")
def model(fill):
  batch = {
    n: np.zeros((1, *x.shape), x.dtype) for n, x in TINY.inputs().items()
  }
  params = jax.tree.map(jnp.asarray, fill(TINY, batch)[0])
  config = configs.base()
  config.data.name = "clips"
  config.method = configs.section(type="video.step_video")
  return models.Model(
    config=config, method=TINY, weights=methods.Weights(params)
  )


@pytest.fixture
def told(monkeypatch):
  """What is told comes from five examples, or two."""
  of = {"train": LABELS, "test": LABELS[1:3]}
  monkeypatch.setattr(
    make_pairs.sources,
    "build",
    lambda name, split, folder, **how: sources.ArraySource(
      {"label": of[split]}, num_classes=3
    ),
  )


def test_pairs_are_stored_beside_what_they_were_told(
  model, told, tmp_path, monkeypatch
):
  make_pairs.build(model, "pairs", tmp_path, num=7, test=3, batch=4)
  monkeypatch.undo()
  rows = {}
  for split in ("train", "test"):
    source = sources.build("pairs", split, str(tmp_path))
    some = source.__getitems__(range(len(source)))
    rows[split] = {n: np.stack([x[n] for x in some]) for n in some[0]}
  train, test = rows["train"], rows["test"]
  assert train["noise"].shape == (7, *TINY.shape)
  assert test["sample"].shape == (3, *TINY.shape)
  every = np.concatenate([train["noise"], test["noise"]])
  assert len(np.unique(every.reshape(10, -1)[:, 0])) == 10
  # The same again, all at once; the files are in an order of their own.
  index = np.arange(7)
  asked = {"label": LABELS[index % 5], "index": index}
  made = TINY.pairs(model.weights, asked, jax.random.key(0))
  order = np.argsort(train["noise"].reshape(7, -1)[:, 0])
  mine = np.argsort(np.asarray(made["noise"]).reshape(7, -1)[:, 0])
  for name in ("noise", "sample"):
    np.testing.assert_allclose(
      train[name][order], made[name][mine], rtol=1e-3, atol=1e-3
    )
  np.testing.assert_array_equal(train["label"][order], asked["label"][mine])
  turbo = step_video_turbo.StepVideoTurbo.tiny()
  batch = {name: jnp.asarray(train[name]) for name in turbo.inputs()}
  draws = turbo.drawn(jax.random.key(1), batch)
  assert np.isfinite(turbo.loss(model.weights, batch, draws, 0)[0])


def test_a_method_without_pairs_is_refused(model):
  class Other(methods.Method):
    """It has no outputs."""

  other = dataclasses.replace(model, method=Other())
  with pytest.raises(errors.UserError, match="offers `pairs`"):
    make_pairs.told(other)
