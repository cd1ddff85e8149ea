import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import pose
from jmim.metrics import poses as metrics

N, J = 6, 17


def outputs(b=8, seed=0, width=50.0):
  rng = np.random.default_rng(seed)
  target = 300 * rng.normal(size=(b, J, 3))
  target[:, 0] = 0
  noise = width * rng.normal(size=(b, N, J, 3))
  spread = np.full((b, J), 1.2)
  spread[:, 0] = -1
  spread[::2, 4] = 3.0
  return {
    "hypotheses": (target[:, None] + noise).astype(np.float32),
    "mean": (target + 0.2 * noise[:, 0]).astype(np.float32),
    "target": target.astype(np.float32),
    "spread": spread.astype(np.float32),
    "places": rng.uniform(0, 32, (b, J, 2)).astype(np.float32),
    "map": rng.uniform(size=(b, 32, 32)).astype(np.float32),
  }


def run(parts, **fields):
  context = evalkit.stub([(part, {}) for part in parts])
  fields = {"hard": 1.7, "counts": (1, 4, 50), **fields}
  return dict(pose.Evaluator(**fields).run(context))


def test_measures_are_of_the_best_of_all_and_of_the_mean():
  parts = [outputs(), outputs(b=3, seed=1)]
  found = run(parts)
  names = ("best", "average", "four", "mean", "pa", "pck", "cps")
  rows = {name: [] for name in names}
  for part in parts:
    for made, truth, mean in zip(
      part["hypotheses"], part["target"], part["mean"], strict=True
    ):
      each = [np.linalg.norm(h - truth, axis=1).mean() for h in made]
      rows["best"].append(min(each))
      rows["four"].append(min(each[:4]))
      rows["average"].append(np.mean(each))
      rows["mean"].append(np.linalg.norm(mean - truth, axis=1).mean())
      fit = [metrics.aligned(h, truth) for h in made]
      rows["pa"].append(min(metrics.mpjpe(h, truth) for h in fit))
      near = [(np.linalg.norm(h - truth, axis=1) < 150).mean() for h in made]
      rows["pck"].append(100 * max(near))
      every = list(range(J))
      rows["cps"].append(max(metrics.cps(h, truth, every) for h in fit))
  expected = {
    "mpjpe_best": "best",
    "mpjpe_best_of_4": "four",
    "mpjpe_average": "average",
    "mpjpe_mean": "mean",
    "pa_mpjpe_best": "pa",
    "pck_best": "pck",
    "cps_best": "cps",
  }
  for name, row in expected.items():
    np.testing.assert_allclose(found[name], np.mean(rows[row]), rtol=1e-5)
  assert found["examples"] == 11 and "mpjpe_best_of_50" not in found
  assert found["skeletons"].dtype == np.uint8


def test_hard_examples_are_those_with_a_wide_map():
  part = outputs()
  part["hypotheses"][::2] += 40.0
  found = run([part])
  assert found["hard_examples"] == 4
  both = (found["hard_mpjpe_best"], found["clear_mpjpe_best"])
  assert both[0] > both[1]
  np.testing.assert_allclose(np.mean(both), found["mpjpe_best"])
  none = run([part], hard=9.0)
  assert none["hard_examples"] == 0 and "hard_mpjpe_best" not in none
  assert none["clear_mpjpe_best"] == none["mpjpe_best"]


def test_deviations_are_of_ambiguous_joints_and_by_axis():
  part = outputs(width=0.0)
  noise = np.random.default_rng(3).normal(size=(8, N, J, 3))
  noise = (noise - noise.mean(1, keepdims=True)) / noise.std(1, keepdims=True)
  noise[..., 2] *= 5
  part["hypotheses"] = part["target"][:, None] + noise
  part["hypotheses"][::2, :, 4] += noise[::2, :, 4]  # wide maps: twice
  part["hypotheses"][:, :, 3] = part["target"][:, None, 3]  # clear, and still
  found = run([part])
  one = np.sqrt(1 + 1 + 25)
  assert found["std_clear_same"] == pytest.approx(one)
  others = 8 * 14 + 4  # clear joints that move, of 8 * 15 + 4
  assert found["std_clear"] == pytest.approx(one * others / (others + 8))
  assert found["std_ambiguous"] == pytest.approx(2 * one)
  # Of 16 joints one is still.
  assert found["std_depth"] == pytest.approx(5 * 15 / 16)
  assert found["std_plane"] == pytest.approx(15 / 16)


def test_another_ones_condition_is_worse():
  found = run([outputs()])
  part = outputs()
  other = np.roll(part["target"], 1, axis=0)[:, None]
  expected = metrics.mpjpe(part["hypotheses"], other).min(1).mean()
  assert found["shuffled_mpjpe_best"] == pytest.approx(expected)
  assert expected > 2 * found["mpjpe_best"]
  assert "shuffled_mpjpe_best" not in run([outputs(b=1)])


@pytest.mark.parametrize("ends", [(3, 8), (1, 7, 8), (1, 2, 3, 8)])
def test_another_ones_condition_is_the_same_ones_in_any_batches(ends):
  whole = outputs()
  cuts = zip((0, *ends), ends, strict=False)
  parts = [{k: x[a:b] for k, x in whole.items()} for a, b in cuts]
  assert run(parts)["shuffled_mpjpe_best"] == pytest.approx(
    run([whole])["shuffled_mpjpe_best"], rel=1e-6
  )


def test_some_joints_may_be_left_out():
  part = outputs()
  part["hypotheses"][:, :, 7] += 400
  all_of_them, some = (
    run([part]),
    run(
      [part],
      pck_joints=tuple(j for j in range(J) if j != 7),
      cps_joints=(1, 2),
    ),
  )
  assert some["pck_best"] > all_of_them["pck_best"]
  assert some["cps_best"] > all_of_them["cps_best"]
  assert some["mpjpe_best"] == all_of_them["mpjpe_best"]


@pytest.mark.parametrize("name", ["hypotheses", "mean"])
def test_poses_that_are_not_finite_are_refused(name):
  part = outputs()
  part[name][2, 1, 0] = np.nan
  with pytest.raises(errors.UserError, match="1 of 8 poses"):
    run([part])
