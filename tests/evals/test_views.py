import types

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import groups
from jmim.data import pipeline
from jmim.data import sources
from jmim.evals import views
from jmim.metrics import restoration

B, M, SIDES = 2, 4, (12, 12)
SPEC = pipeline.Spec(
  batch=B,
  size=12,
  threads=0,
  group="scene",
  members=M,
  reads=(("image", None), ("view_focal", None)),
)


class Context:
  """Rendered views are the truth, darker; what the cameras say is kept."""

  def __init__(self, batch, dark=0.5):
    self.batch, self.dark, self.seen = batch, dark, []
    self.spec = SPEC
    self.devices = types.SimpleNamespace(gather=np.asarray)

  def batches(self, split, limit):
    return iter([dict(self.batch)])

  def apply(self, name, batch, weights, key):
    self.seen.append(batch)
    image = batch["image"] / 255.0 * self.dark
    return {"image": image, "depth": np.ones((B, M, *SIDES), "f4")}

  def pixels(self, images):
    return np.rint(255 * images).astype(np.uint8)

  def once(self, request, make):
    return make()


@pytest.fixture(name="batch")
def _batch():
  rng = np.random.default_rng(0)
  return {
    "image": rng.integers(0, 256, (B, M, *SIDES, 3), np.uint8),
    "frame": np.array([[2, 0, 3, 1], [0, 1, 2, 3]], np.int32),
    "view_pose": rng.normal(size=(B, M, 3, 4)).astype("f4"),
    "view_focal": np.arange(B * M, dtype="f4").reshape(B, M),
    "scene": np.arange(B),
    "valid": np.array([True, True]),
  }


def test_the_input_is_the_middle_frame_and_the_rest_are_in_order(batch):
  found = views.arranged(batch, "frame")
  np.testing.assert_array_equal(found["frame"], [[2, 0, 1, 3]] * B)
  np.testing.assert_array_equal(found["view_focal"][0], [0, 1, 3, 2])
  np.testing.assert_array_equal(found["image"][0, 1], batch["image"][0, 1])
  np.testing.assert_array_equal(found["scene"], batch["scene"])
  assert views.arranged(batch, "time") is batch


def test_exchanged_cameras_are_those_of_other_targets(batch):
  found = views.exchanged(batch)
  np.testing.assert_array_equal(found["view_focal"][1], [4, 7, 5, 6])
  np.testing.assert_array_equal(
    found["view_pose"][:, 0], batch["view_pose"][:, 0]
  )
  np.testing.assert_array_equal(found["image"], batch["image"])


def test_measures_are_means_over_scenes_without_the_input(batch):
  context = Context(batch)
  how = dict(mean_of=2, shuffled=True)
  found = dict(views.Evaluator(**how).run(context))
  truth = views.arranged(batch, "frame")["image"] / 255.0
  made = np.rint(255 * (truth * 0.5)) / 255
  psnr = lambda a, b: np.mean([*map(restoration.psnr, a, b)])
  each = [psnr(made[i, 1:], truth[i, 1:]) for i in range(B)]
  assert found["psnr"] == pytest.approx(np.mean(each))
  copied = [psnr([truth[i, 0]] * 3, truth[i, 1:]) for i in range(B)]
  assert found["psnr_input"] == pytest.approx(np.mean(copied))
  mean = np.rint(batch["image"].reshape(-1, *SIDES, 3).mean(0)) / 255
  meaned = [psnr([mean] * 3, truth[i, 1:]) for i in range(B)]
  assert found["psnr_mean"] == pytest.approx(np.mean(meaned))
  assert found["psnr_own"] == pytest.approx(psnr(made[:, 0], truth[:, 0]))
  assert found["psnr_shuffled"] == pytest.approx(found["psnr"])
  assert found["scenes"] == B and 0 < found["ssim"] < 1
  assert found["sheet"].ndim == 3 and found["sheet"].std() > 0
  plain, other = context.seen
  assert not np.array_equal(plain["view_pose"], other["view_pose"])


class Piped(Context):
  """Batches of the pipeline, which holds what the method reads, and no more."""

  def batches(self, split, limit):
    source = groups.Grouped(sources.ArraySource(self.batch), "scene", M)
    return pipeline.evaluation_batches(source, self.spec, limit=limit)


@pytest.mark.parametrize("asked", [0, M])
def test_the_number_along_a_scene_is_read_where_no_method_reads_it(asked):
  n = B * M
  numbers = np.random.default_rng(1).permutation(n).astype(np.int32)
  stored = {
    "image": np.zeros((n, *SIDES, 3), np.uint8),
    "frame": numbers,
    "scene": np.arange(n) % B,
    "view_focal": numbers.astype("f4"),
  }
  context = Piped(stored)
  found = dict(views.Evaluator(views=asked).run(context))
  assert found["scenes"] == B
  for row in context.seen[0]["view_focal"]:
    assert row[0] == sorted(row)[M // 2] and (np.diff(row[1:]) > 0).all()


def test_two_views_have_no_cameras_to_exchange(batch):
  pair = {n: x[:, :2] if x.ndim > 1 else x for n, x in batch.items()}
  evaluator = views.Evaluator(shuffled=True)
  with pytest.raises(errors.UserError, match="2 views") as caught:
    dict(evaluator.run(Context(pair)))
  assert caught.value.key == "evals.<name>.shuffled"


def test_fillers_do_not_count(batch):
  batch["valid"] = np.array([True, False])
  found = dict(views.Evaluator().run(Context(batch)))
  assert found["scenes"] == 1


def test_more_views_than_the_smallest_scene_has_are_refused():
  groups = [types.SimpleNamespace(index=np.arange(n)) for n in (6, 3)]
  evaluator = views.Evaluator(views=4)
  with pytest.raises(errors.UserError, match="smallest scene has 3") as caught:
    evaluator.check("evals.views", {"eval": groups}, dict)
  assert caught.value.key == "evals.views.views"
  views.Evaluator(views=3).check("evals.views", {"eval": groups}, dict)
