import json

import evalkit
import jax
import numpy as np
import pytest
import tokenkit

from jmim.core import errors
from jmim.core import method as methods
from jmim.evals.lib import judges

DATA = evalkit.source(300, 0)
IMAGES = evalkit.images(DATA)
LABELS = np.array([DATA[i]["label"] for i in range(len(DATA))])


def linear(**changes):
  given = {"images": IMAGES, "labels": LABELS, "penalty": 1.0, "key": "k"}
  return judges.linear(**{**given, **changes})


def test_a_linear_judge_knows_what_it_was_fitted_to():
  judge = linear()
  out = judge(IMAGES)
  assert out["features"].shape == (300, 48)
  assert (out["logits"].argmax(1) == LABELS).mean() > 0.9
  np.testing.assert_allclose(out["features"][0], IMAGES[0].ravel() / 255)
  assert judge.name == "ridge on pixels, penalty 1"
  with pytest.raises(errors.UserError, match="at most 4096"):
    linear(images=np.zeros((300, 48, 48, 3), np.uint8))


def test_a_run_judges_what_it_would_see(tmp_path):
  method = evalkit.Everything()
  weights = methods.Weights(*method.init(jax.random.key(0), None))
  data = {"size": 4, "mean": (0.4,) * 3, "std": (0.3,) * 3}
  evalkit.workdir(tmp_path / "run", "evalkit", weights.params, **data)
  judge = judges.of_run(str(tmp_path / "run"), "k")
  out = judge(IMAGES)
  x = (IMAGES / np.float32(255) - 0.4) / 0.3
  for name in ("features", "logits"):
    want = method.predict()[name](weights, {"image": x}, None)
    np.testing.assert_allclose(out[name], want, rtol=1e-4, atol=1e-5)
  with pytest.raises(errors.UserError, match="1 channel"):
    judge(IMAGES[..., :1])


def test_a_run_may_be_older_than_a_key_of_its_images(tmp_path):
  params = evalkit.Everything().init(jax.random.key(0), None)[0]
  run = evalkit.workdir(tmp_path / "run", "evalkit", params, size=4)
  for path in run.rglob("*.json"):
    content = json.loads(path.read_text())
    config = content.get("config", content)
    if "data" in config and config["data"].pop("height", None) is not None:
      path.write_text(json.dumps(content))
  judge = judges.of_run(str(run), "k")
  assert judge(IMAGES)["features"].shape[0] == len(IMAGES)


def test_a_run_that_is_no_classifier_is_refused(tmp_path):
  params = {"main": {"logits": np.zeros(6, np.float32)}}
  evalkit.workdir(tmp_path / "tokens", tokenkit.__name__, params)
  with pytest.raises(errors.UserError, match="offers no features"):
    judges.of_run(str(tmp_path / "tokens"), "k")


def test_scores_of_perfect_samples_and_of_means():
  judge = linear()
  same = judges.scores(judge, IMAGES, LABELS, IMAGES, labels=LABELS)
  assert same["frechet"] == pytest.approx(0, abs=1e-6)
  assert same["recognised"] == same["recognised_real"] > 90
  assert same["spread"] == same["spread_real"] > 0
  means = np.stack([IMAGES[LABELS == c].mean(0) for c in range(3)])
  collapsed = judges.scores(
    judge, means.astype(np.uint8)[LABELS], LABELS, IMAGES, labels=LABELS
  )
  assert collapsed["spread"] == 0 and collapsed["recognised"] == 100
  assert collapsed["frechet"] > 0.5
  wrong = judges.scores(judge, IMAGES, (LABELS + 1) % 3, IMAGES, labels=LABELS)
  assert wrong["recognised"] < 10


def test_samples_without_classes_are_one_class():
  found = judges.scores(linear(), IMAGES, None, IMAGES, labels=LABELS)
  assert "recognised" not in found
  whole = np.sqrt((IMAGES / 255.0).reshape(300, -1).var(0).sum())
  np.testing.assert_allclose(found["spread"], whole, rtol=1e-5)
