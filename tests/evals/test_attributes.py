"""Attributes from parts of a code of which every number is known."""

import evalkit
import numpy as np
import pytest
import sklearn.linear_model

from jmim.core import errors
from jmim.data import sources
from jmim.evals import attributes


class Coded(evalkit.Everything):
  """Its code is the first pixels of the image, one number each."""

  def predict(self):
    flat = lambda batch: batch["image"].reshape(len(batch["image"]), -1)
    return {
      "code": lambda w, b, k: flat(b)[:, :6],
      "two": lambda w, b, k: {"low": flat(b)[:, :2], "all": flat(b)[:, :6]},
      "broken": lambda w, b, k: flat(b)[:, :6] / 0,
    }


def source(n, seed):
  """Pixel 0 tells `high`, 1 to 3 `kind`, 4 tells `tone`, 5 tells nothing."""
  rng = np.random.default_rng(seed)
  kind = rng.integers(0, 3, n)
  high = rng.integers(0, 2, n)
  tone = rng.uniform(-1, 1, n).astype(np.float32)
  flat = rng.integers(0, 255, (n, 4 * 4 * 3))
  flat[:, 0] = 60 + 100 * high + rng.integers(0, 60, n)
  flat[:, 1:4] = 100 * np.eye(3, dtype=int)[kind] + rng.integers(0, 60, (n, 3))
  flat[:, 4] = 128 + 100 * tone + rng.integers(-9, 9, n)
  made = {
    "image": flat.reshape(n, 4, 4, 3).astype(np.uint8),
    "kind": kind,
    "high": high,
    "tone": tone,
    "both": np.stack([high, 1 - high], 1),
    "name": np.array(["x"] * n),
  }
  return sources.ArraySource(made)


def context(n=(200, 61), **kwargs):
  data = {"train": source(n[0], 0), "eval": source(n[1], 1)}
  return evalkit.context(data=data, model=Coded, **kwargs)


def evaluator(**kwargs):
  asked = {"classes": ("kind",), "binary": ("high",), "real": ("tone",)}
  return attributes.Evaluator(**({"predict": "code"} | asked | kwargs))


def test_each_attribute_is_told_by_the_part_that_holds_it():
  parts = (":", ":1", "1:4", "4:", "0:6")
  found = dict(evaluator(parts=parts, reference=False).run(context()))
  assert found["kind_accuracy"] > 95 and found["high_ap"] > 95
  assert found["tone_r"] > 0.95 and found["tone_mse"] < 0.1
  assert found["kind_accuracy_1to4"] > 95 > 60 > found["kind_accuracy_0to1"]
  assert found["high_ap_0to1"] > 95 > 75 > found["high_ap_1to4"]
  assert found["tone_mse_4to6"] < 0.1 < 0.8 < found["tone_mse_0to1"]
  assert found["examples"] == 61
  assert found["blind_tone_mse"] == pytest.approx(1, abs=0.25)
  assert found["blind_kind_accuracy"] < 55
  (deviation,) = found["protocol"]["deviations"]["tone"]
  assert deviation == pytest.approx(source(200, 0).column("tone").std())


def test_it_is_the_ridge_of_standardised_pixels():
  """Written out, on the arrays themselves."""
  found = dict(evaluator(parts=("1:4",), penalty=7.0).run(context()))
  train, test = (
    evalkit.images(s).reshape(len(s), -1)[:, 1:4] / 255
    for s in (source(200, 0), source(61, 1))
  )
  mean, std = train.mean(0), train.std(0)
  model = sklearn.linear_model.RidgeClassifier(alpha=7.0)
  model.fit((train - mean) / std, source(200, 0).column("kind"))
  want = model.score((test - mean) / std, source(61, 1).column("kind"))
  assert found["kind_accuracy_1to4"] == pytest.approx(100 * want)
  # Nothing was trained, so the reference line is the same.
  assert found["untrained_kind_accuracy_1to4"] == pytest.approx(100 * want)


def test_the_probe_of_the_whole_vector_is_kept():
  """Of the vector as it is: the scores are those of standardised ones."""
  run = evaluator(parts=(":1", ":"), reference=True).run(context())
  (head,) = (x for key, x in run if key == "head")
  assert head.names == ("kind=0", "kind=1", "kind=2", "high", "tone")
  train = evalkit.images(source(200, 0)).reshape(200, -1)[:, :6] / 255
  np.testing.assert_allclose(head.std, train.std(0), rtol=1e-5)
  kind = source(200, 0).column("kind")
  model = sklearn.linear_model.RidgeClassifier(alpha=1.0)
  model.fit((train - train.mean(0)) / train.std(0), kind)
  want = model.decision_function((train - train.mean(0)) / train.std(0))
  made = train @ head.kernel + head.bias
  np.testing.assert_allclose(made[:, :3], want, atol=1e-4)


def test_several_attributes_under_one_name_are_averaged():
  asked = {"classes": (), "real": (), "reference": False}
  one = dict(evaluator(**asked).run(context()))
  many = dict(evaluator(**asked, binary=("both", "high")).run(context()))
  assert many["high_ap"] == one["high_ap"]
  assert many["both_ap"] > 95


def test_one_name_may_be_probed_as_two_kinds():
  asked = {"classes": ("high",), "real": (), "head": "logistic"}
  found = dict(evaluator(**asked).run(context()))
  assert found["high_ap"] > 95 and found["high_accuracy"] > 95


def test_devices_and_batch_do_not_matter():
  asked = evaluator(parts=(":3", ":"))
  one, eight = (
    dict(asked.run(context(batch=b, devices=d))) for b, d in ((5, 1), (16, 8))
  )
  one.pop("protocol"), eight.pop("protocol")
  heads = one.pop("head"), eight.pop("head")
  np.testing.assert_allclose(heads[0].kernel, heads[1].kernel, rtol=1e-4)
  assert one == pytest.approx(eight, rel=1e-6)


def test_what_is_not_finite_is_not_computed():
  with pytest.raises(errors.UserError, match="NaN or infinite"):
    dict(evaluator(predict="broken").run(context()))


@pytest.mark.parametrize(
  ("changes", "key", "words"),
  [
    ({"binary": ("smile",)}, "binary", ["no 'smile'", "kind", "tone"]),
    ({"real": ("name",)}, "real", ["'name'", "numbers"]),
    ({"classes": ("kind/of",)}, "classes", ["no 'kind/of'"]),
    ({"classes": (), "binary": (), "real": ()}, "classes", ["kind, high"]),
    ({"parts": (":7",)}, "parts", ["':7'", "<= 6"]),
    ({"parts": ("3:3",)}, "parts", ["'3:3'"]),
    ({"parts": ("-2:",)}, "parts", ["'-2:'"]),
    ({"parts": ("4",)}, "parts", ["'4'"]),
    ({"predict": "two"}, "predict", ["two/all, two/low"]),
  ],
)
def test_what_cannot_be_probed_is_found_before_anything_runs(
  changes, key, words
):
  over = context()
  with pytest.raises(errors.UserError) as caught:
    evaluator(**changes).check("evals.mine", over.sources, over.widths)
  assert caught.value.key == f"evals.mine.{key}"
  for word in words:
    assert word in str(caught.value)


def test_an_entry_of_a_dict_has_its_own_width():
  over = context()
  check = lambda part: evaluator(predict="two/low", parts=(part,)).check(
    "evals.mine", over.sources, over.widths
  )
  check(":2")
  with pytest.raises(errors.UserError, match="<= 2"):
    check(":3")
