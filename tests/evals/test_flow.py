import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import flow
from jmim.methods.parts import flow_samples

RNG = np.random.default_rng(0)
B, N, H, W = 3, 4, 5, 6


def outputs():
  """Of two pairs errors of 0 and 2 pixels, of one nothing is known."""
  truth = RNG.normal(size=(B, H, W, 2)).astype(np.float32)
  known = np.ones((B, H, W), np.int32)
  known[2] = 0
  known[1, 2:] = 0
  away = np.zeros((B, 1, 1, 2), np.float32)
  away[1, ..., 0], away[2] = 2, 50
  step = np.zeros((1, N, 1, 1, 2), np.float32)
  step[0, :, 0, 0, 1] = [1, -1, 3, -3]
  return {
    "flow": truth + away,
    "initial": truth + 3 * away,
    "hypotheses": (truth + away)[:, None] + step,
    "flow_true": truth,
    "flow_known": known,
    "images": RNG.uniform(-1, 1, (B, 2, 8, 8, 3)).astype(np.float32),
  }


def ran(monkeypatch, region=None, **fields):
  context, out = evalkit.context(size=8), outputs()
  pick = lambda i: {n: x[i] for n, x in out.items()}
  parts = [(pick(i), {"index": np.array(i)}) for i in ([0, 1], [2])]
  context.outputs = lambda *args, **kwargs: iter(parts)
  if region is not None:
    look = lambda context, split, index, name: region[index]
    monkeypatch.setattr(flow.stored, "annotation", look)
    fields["region"] = "where"
  return dict(flow.Evaluator(**fields).run(context))


def test_every_known_pixel_counts_once(monkeypatch):
  found = ran(monkeypatch, bounds=(1.0, 2.5), counts=(1, 2))
  full, half = H * W, 2 * W
  error = 2 * half / (full + half)
  assert found["aepe"] == pytest.approx(error, abs=1e-5)
  assert found["aepe_initial"] == pytest.approx(3 * error, abs=1e-5)
  assert found["pck_1"] == pytest.approx(100 * full / (full + half))
  assert found["pck_2.5"] == pytest.approx(100)
  # One hypothesis is a pixel off, the first two are right on the average.
  one = (full * 1 + half * np.hypot(2, 1)) / (full + half)
  assert found["aepe_1"] == pytest.approx(one, abs=1e-5)
  assert found["aepe_2"] == pytest.approx(error, abs=1e-5)
  assert found["examples"] == B
  assert found["sheet"].ndim == 3 and found["sheet"].std() > 0


def test_the_mean_of_all_hypotheses_is_the_methods_flow():
  """Also where one of them leads far out; x and y have limits of their own."""
  made = RNG.normal(size=(N, B, H, W, 2)).astype(np.float32)
  made[0, 0, 1, 2] = 90, -70
  batch = {
    "flow": RNG.normal(size=(B, H, W, 2)).astype(np.float32),
    "flow_known": np.ones((B, H, W), np.int32),
  }
  out = flow_samples.described(made, made[0], batch=batch, images=None)
  context = evalkit.context(size=8)
  out = {k: np.asarray(x) for k, x in out.items() if k != "images"}
  out["images"] = np.zeros((B, 2, 8, 8, 3), np.float32)
  context.outputs = lambda *args, **kwargs: iter(
    [(out, {"index": np.arange(B)})]
  )
  found = dict(flow.Evaluator(counts=(1, N)).run(context))
  assert found[f"aepe_{N}"] == pytest.approx(found["aepe"], rel=1e-5)
  assert found["aepe_1"] != pytest.approx(found["aepe"], rel=1e-2)


def test_spread_inside_and_outside_of_a_region(monkeypatch):
  region = np.zeros((B, H, W), np.uint8)
  region[0, :1] = 1
  found = ran(monkeypatch, region)
  spread = np.sqrt((1 + 1 + 9 + 9) / 4)
  for name in ("spread", "spread_inside", "spread_outside"):
    assert found[name] == pytest.approx(spread, abs=1e-5)
  none = ran(monkeypatch, 0 * region)
  assert "spread_inside" not in none and "spread_outside" in none


def test_more_hypotheses_than_there_are(monkeypatch):
  with pytest.raises(errors.UserError, match="numbers of 1 to 4"):
    ran(monkeypatch, counts=(8,))
