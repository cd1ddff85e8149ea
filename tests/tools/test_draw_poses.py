import jax
import numpy as np
import pytest

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.data.builders import poses
from jmim.evals.lib import skeletons
from jmim.methods.mim import mae
from jmim.methods.pose import diffpose
from jmim.tools import draw_poses


def model_of(method):
  config = configs.base()
  params, _ = jax.jit(method.init)(jax.random.key(0), None)
  weights = methods.Weights(params)
  return models.Model(config=config, method=method, weights=weights)


def method_of(**fields):
  return field.replace(
    diffpose.DiffPose(width=8),
    candidates=dict(count=2),
    condition=dict(channels=4, depth=0, heads=1, condition=1),
    noise=dict(times=2),
    sampling=dict(count=12, steps=2, clip=0.5),
    **fields,
  )


def test_a_picture_has_ten_hypotheses_and_the_truth():
  (config,) = poses.Poses.BUILDER_CONFIGS
  rows = [poses.Poses.example(config, "test", i) for i in range(2)]
  batch = {k: np.stack([row[k] for row in rows]) for k in ("poses", "modes")}
  method = method_of(heatmaps=dict(size=32, modes=2, sigma=1.2))
  found = draw_poses.pictures(model_of(method), batch)
  assert found.shape[0] == 2 and found.dtype == np.uint8
  for picture in found:
    assert (picture == skeletons.TRUTH).all(-1).sum() > 100
    assert (picture == skeletons.MADE).all(-1).sum() > 100
  assert (found[0] != found[1]).any()


def test_a_method_without_poses_is_refused():
  model = models.Model(
    config=configs.base(), method=mae.MAE.tiny(), weights=methods.Weights({})
  )
  with pytest.raises(errors.UserError, match="pose.diffpose"):
    draw_poses.pictures(model, {})


def of_four(order):
  body = dict(joints=4, order=order)
  model = model_of(method_of(heatmaps=dict(joints=4, size=8), body=body))
  maps = np.zeros((2, 4, 8, 8), np.float32)
  maps[:, [0, 1, 2, 3], [1, 2, 5, 6], [3, 6, 1, 4]] = 1
  flat = 0.3 * np.random.default_rng(0).normal(size=(2, 12))
  batch = {"heatmaps": maps, "poses": flat.astype(np.float32)}
  return draw_poses.pictures(model, batch)


def test_other_joints_are_drawn():
  for picture in of_four((2, -1, 1, -1)):
    assert (picture == skeletons.TRUTH).all(-1).any()


def test_heatmaps_of_too_few_joints_are_refused():
  with pytest.raises(errors.UserError, match="fewer than 2 joints") as e:
    of_four((2, -1, -1, -1))
  assert e.value.key == "--workdir"
