import builderkit
import numpy as np
import pytest

from jmim.data import pipeline
from jmim.data.builders import poses
from jmim.data.procedural import bodies
from jmim.methods.parts import body

(CONFIG,) = poses.Poses.BUILDER_CONFIGS


def example(split, i):
  return poses.Poses.example(CONFIG, split, i)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """A few examples, written and read back."""
  path = tmp_path_factory.mktemp("poses")
  with builderkit.built(poses.Poses, path, train=6, test=4) as found:
    yield {split: source for (_, split), source in found.items()}


def test_what_is_read_is_what_was_made(built):
  for split, count in (("train", 6), ("test", 4)):
    made = [example(split, i) for i in range(count)]
    assert len(built[split]) == count
    for i in range(count):
      stored = built[split][i]
      (twin,) = [m for m in made if np.array_equal(m["poses"], stored["poses"])]
      np.testing.assert_array_equal(stored["modes"], twin["modes"])
      assert stored["label"] == twin["label"]


def test_modes_show_the_pose():
  """A camera of the one scale and shift that a heatmap tells at each depth."""
  found = example("train", 3)
  pose = found["poses"].reshape(3, 16).T
  pelvis = pose[list(body.Body().hips)].mean(0)
  seen = bodies.project(pose - pelvis, CONFIG.size)
  np.testing.assert_allclose(found["modes"][:, 0, :2], seen, atol=1e-3)


def test_every_other_test_example_is_clear():
  labels = [example("test", i)["label"] for i in range(40)]
  assert labels == [0, 1] * 20
  for i in range(40):
    second = example("test", i)["modes"][:, 1, 2] > 0
    assert second.any() == i % 2


def test_limb_joints_of_training_are_ambiguous_as_often_as_said():
  second = np.stack(
    [example("train", i)["modes"][:, 1, 2] > 0 for i in range(400)]
  )
  limbs = np.array(bodies.LIMBS) - 1
  assert abs(second[:, limbs].mean() - CONFIG.rate) < 0.03
  assert not np.delete(second, limbs, axis=1).any()


def test_the_pipeline_hands_them_over(built):
  spec = pipeline.Spec(batch=2, threads=0)
  batch = next(pipeline.training_batches(built["train"], spec))
  assert batch["modes"].shape == (2, 16, 2, 3)
  assert batch["poses"].dtype == np.float32
