import types

import numpy as np
import pytest

from jmim.evals import voxels

STORED, SHAPE = (4, 8, 8), (2, 6, 6)


def source(n, seed):
  """Marks at random, under volumes that do not show them."""
  rng = np.random.default_rng(seed)
  return [
    {
      "membrane": (rng.random(STORED) < 0.3).astype(np.uint8),
      "volume": rng.integers(0, 256, STORED).astype(np.uint8),
    }
    for _ in range(n)
  ]


def context(noise):
  """Features that hold the marks under weights that are trained."""
  sources = {"train": source(8, 0), "eval": source(6, 1)}

  def outputs(name, split, limit, weights, entries):
    assert name == "voxels" and set(entries) == {"index", "volume"}
    rng = np.random.default_rng(2)
    for i, stored in enumerate(sources[split][:limit]):
      box = (slice(1, 3), slice(1, 7), slice(1, 7))
      marks = stored["membrane"][box]
      features = rng.normal(size=(1, *SHAPE, 3)).astype(np.float32)
      if weights == "raw":
        features[0, ..., 1] = marks + noise * features[0, ..., 1]
      batch = {"index": np.array([i]), "volume": stored["volume"][box][None]}
      yield features, batch

  return types.SimpleNamespace(outputs=outputs, sources=sources, seed=0)


@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_a_feature_that_holds_the_mark_finds_it(head):
  evaluator = voxels.Evaluator(head=head, voxels=60)
  values = dict(evaluator.run(context(0.1)))
  assert values["membrane_ap"] > 99
  share = values["blind_membrane_ap"]
  assert 25 < share < 35
  for name in ("untrained_membrane_ap", "grey_membrane_ap"):
    assert abs(values[name] - share) < 12
  assert values["examples"] == 6 * 60
  assert values["sheet"].dtype == np.uint8


def test_a_weaker_feature_finds_less_and_the_reference_is_left_out_if_asked():
  evaluator = voxels.Evaluator(voxels=60, reference=False, limit=3)
  clear, dim = (dict(evaluator.run(context(noise))) for noise in (0.1, 1.0))
  assert 40 < dim["membrane_ap"] < clear["membrane_ap"]
  assert "untrained_membrane_ap" not in clear and clear["examples"] == 180


def test_voxels_of_a_volume_are_the_same_in_every_evaluation():
  evaluator = voxels.Evaluator(voxels=10, reference=False)
  one, two = (dict(evaluator.run(context(0.5))) for _ in range(2))
  assert one["membrane_ap"] == two["membrane_ap"]


def test_features_that_are_not_finite_are_no_number():
  with pytest.raises(Exception, match="NaN or infinite"):
    dict(voxels.Evaluator().run(context(np.nan)))
