import dataclasses

import evalkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import sources
from jmim.evals import dense
from jmim.evals import linear


def scenes(n, seed, size=8):
  """Two bright or dark halves; which, the masks say; depth goes with it."""
  rng = np.random.default_rng(seed)
  bright = rng.integers(0, 2, (n, 2, 2))
  semantic = bright.repeat(size // 2, 1).repeat(size // 2, 2)
  noise = rng.integers(0, 60, (n, size, size, evalkit.CHANNELS))
  images = (noise + 150 * semantic[..., None]).astype(np.uint8)
  return sources.ArraySource(
    {
      "image": images,
      "semantic": semantic.astype(np.uint8),
      "depth": (1.0 + 2.0 * semantic).astype(np.float32),
    }
  )


def context(**kwargs):
  data = {"train": scenes(40, 0), "eval": scenes(21, 1)}
  return evalkit.context(data=data, size=8, **kwargs)


def test_segmentation_is_learned_and_every_test_pixel_counts():
  values = dict(dense.Evaluator(lrs=(0.1, 1e-6), epochs=10.0).run(context()))
  assert values["miou"] == values["miou_lr0.1"] > 85
  assert values["blind_pixel_accuracy"] < 65 < values["pixel_accuracy"]
  assert values["examples"] == 21 and values["miou_lr1e-06"] < values["miou"]
  assert values["sheet"].ndim == 3


def test_depth_is_learned():
  evaluator = dense.Evaluator(
    task="depth", target="depth", lrs=(0.1, 1e-6), epochs=10.0
  )
  values = dict(evaluator.run(context()))
  assert values["rmse"] == values["rmse_lr0.1"] < 0.6 * values["blind_rmse"]
  assert values["abs_rel"] < values["blind_abs_rel"]


def test_devices_and_evaluation_batch_do_not_matter():
  evaluator = dense.Evaluator(lrs=(0.1,), epochs=4.0)
  one, eight = (
    dict(evaluator.run(context(batch=b, devices=d)))
    for b, d in ((5, 1), (16, 8))
  )
  np.testing.assert_allclose(one["miou"], eight["miou"], rtol=1e-5)


def test_the_loss_is_the_mean_over_pixels_that_count():
  evaluator, rng = dense.Evaluator(lrs=(0.1,)), np.random.default_rng(0)
  params, extra = linear.init(jax.random.key(0), {"tokens": 5}, 1, 3)
  tokens = rng.normal(size=(2, 2, 2, 5)).astype(np.float32)
  targets = rng.integers(0, 3, (2, 4, 4))
  targets[1], targets[0, 2] = 255, 255

  def loss(y):
    y = jnp.asarray(y)
    return evaluator._loss(params, extra, {"tokens": tokens}, y)[0]

  maps, _ = dense.maps(params, extra, tokens=tokens, train=True, side=(4, 4))
  logits = np.asarray(maps[0, 0], np.float64)
  logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  keep = targets[0] != 255
  picked = np.take_along_axis(logs[keep], targets[0][keep][:, None], 1)
  np.testing.assert_allclose(loss(targets), -picked.mean(), rtol=1e-5)
  assert loss(np.full_like(targets, 255)) == 0


def test_another_data_set_can_be_probed(monkeypatch):
  asked = []

  def build(name, split, data_dir):
    asked.append((name, split, data_dir))
    return scenes(40, 0) if split == "train" else scenes(21, 1)

  monkeypatch.setattr(sources, "build", build)
  own = evalkit.context(size=8)  # images without masks
  evaluator = dense.Evaluator(lrs=(0.1,), data="shapes/x", data_dir="there")
  values = dict(evaluator.run(own))
  assert set(asked) == {("shapes/x", s, "there") for s in ("train", "test")}
  here = dict(dense.Evaluator(lrs=(0.1,)).run(context()))
  assert values["miou"] == here["miou"]
  assert "semantic" not in own.sources["eval"][0]  # the run's own is as it was


def test_missing_annotations_and_cropped_images_are_refused():
  with pytest.raises(errors.UserError, match="semantic"):
    dict(dense.Evaluator(target="normals").run(context()))
  cropped = context()
  cropped.spec = dataclasses.replace(cropped.spec, eval_crop="center")
  with pytest.raises(errors.UserError, match="eval_crop"):
    dict(dense.Evaluator().run(cropped))
