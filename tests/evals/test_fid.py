import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import pipeline
from jmim.data import sources
from jmim.evals import fid
from jmim.evals.lib import extract
from jmim.metrics import generation


def network(name="means of patches"):
  """Features anybody can recompute: 2 x 2 block means of each channel."""

  def run(images):
    x = images.astype("float32").reshape(len(images), 2, 2, 2, 2, 3)
    features = x.mean((2, 4)).reshape(len(images), -1)
    return {
      "features": features,
      "spatial": features[:, :5],
      "logits": features[:, :4] / 50,
    }

  return extract.Extractor(name, run)


@pytest.fixture
def reference(tmp_path):
  spec = pipeline.Spec(batch=16, size=4, threads=0)
  found = fid.measure(network(), evalkit.source(53, 3), spec, keep=40)
  path = tmp_path / "stats.npz"
  fid.save(path, found)
  return str(path)


def test_statistics_are_of_every_image_once(reference):
  data = evalkit.source(53, 3)
  images = np.stack([data[i]["image"] for i in range(53)])
  x = network().run(images)["features"].astype(np.float64)
  found = fid.load(reference)
  np.testing.assert_allclose(found.moments["features"][0], x.mean(0), rtol=1e-6)
  np.testing.assert_allclose(
    found.moments["features"][1], np.cov(x.T), rtol=1e-5
  )
  assert (
    found.protocol == {"images": 53, "skipped": 0} and len(found.features) == 40
  )
  kept = {tuple(row) for row in found.features}
  assert len(kept) == 40 and kept <= {tuple(r) for r in x.astype(np.float32)}


def evaluator(reference, **changes):
  given = {
    "samples": 50,
    "allow_few": True,
    "encoder": "any",
    "reference": reference,
    **changes,
  }
  return fid.Evaluator(**given)


def test_conditions_come_in_random_order(reference, monkeypatch):
  """Of a split sorted by class, part of the samples is not one class."""
  monkeypatch.setattr(extract, "make", lambda *a: network())
  context, seen = evalkit.context(), []
  apply = context.apply

  def record(name, batch, weights, key):
    seen.extend(batch["index"][batch["valid"]])
    return apply(name, batch, weights, key)

  context.apply = record
  dict(evaluator(reference, samples=42).run(context))
  assert sorted(seen) == sorted([*range(21)] * 2)
  assert seen[:21] != sorted(seen[:21])


def test_metrics_are_those_of_the_samples(reference, monkeypatch):
  monkeypatch.setattr(extract, "make", lambda *a: network())
  context = evalkit.context()
  values = dict(evaluator(reference, infinity=True).run(context))
  assert values["samples"] == 50
  assert values["protocol"]["features"] == "means of patches"
  assert values["protocol"]["reference"]["images"] == 53
  # The same by hand: keys count batches, over and over the split.
  made, key = [], 0
  while len(made) < 50:
    for batch in context.batches("eval", 21):
      out = context.apply("sample", batch, "raw", key=key)
      made += list(context.pixels(out)[batch["valid"]])
      key += 1
  x = network().run(np.stack(made[:50]))
  stored = fid.load(reference)
  own = generation.of(x["features"])
  np.testing.assert_allclose(
    values["fid"],
    generation.frechet(own.mean, own.covariance, *stored.moments["features"]),
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    values["is"], generation.inception_score(x["logits"])[0], rtol=1e-5
  )
  for key in ("sfid", "kid", "precision", "recall", "fid_infinity"):
    assert np.isfinite(values[key]), key


def test_restored_images_are_beside_those_of_the_split(monkeypatch):
  monkeypatch.setattr(extract, "make", lambda *a: network())
  asked = {"predict": "restore/image", "samples": 21}
  found = dict(evaluator("eval", **asked).run(evalkit.context()))
  images = evalkit.images(evalkit.source(21, 1))
  restored = np.round(255 * (0.9 * (images / 255) + 0.01))
  moments = [
    generation.of(network().run(x)["features"]) for x in (restored, images)
  ]
  want = generation.frechet(
    *[x for m in moments for x in (m.mean, m.covariance)]
  )
  assert found["fid"] == pytest.approx(want, rel=1e-3)


def test_a_split_of_the_run_is_a_reference_measured_once(monkeypatch):
  monkeypatch.setattr(extract, "make", lambda *a: network())
  context, asked = evalkit.context(), []
  measure = fid.measure

  def counted(network, source, spec):
    asked.append(len(source))
    return measure(network, source, spec)

  monkeypatch.setattr(fid, "measure", counted)
  first = dict(evaluator("train").run(context))
  again = dict(evaluator("train").run(context))
  other = dict(evaluator("eval").run(context))
  assert asked == [40, 21] and first["fid"] == again["fid"] != other["fid"]
  held = {"file": "train", "images": 40, "skipped": 0}
  assert first["protocol"]["reference"] == held


@pytest.mark.parametrize(
  "changes, text",
  [
    ({"allow_few": False}, "at least 10,000"),
    ({"encoder": ""}, "exactly one network"),
    ({"inception": "x.npz"}, "exactly one network"),
    ({"samples": 3}, "3 samples"),
    ({"samples": 5, "neighbours": 5}, "at least 6"),
    ({"samples": 2, "neighbours": 1, "infinity": True}, "at least 3"),
  ],
)
def test_what_is_refused(reference, changes, text):
  with pytest.raises(errors.UserError, match=text):
    dict(evaluator(reference, **changes).run(evalkit.context()))


def test_a_reference_of_other_features_is_refused(reference, monkeypatch):
  monkeypatch.setattr(extract, "make", lambda *a: network("others"))
  with pytest.raises(errors.UserError, match="means of patches"):
    dict(evaluator(reference).run(evalkit.context()))
  with pytest.raises(errors.UserError, match="make_fid_stats"):
    fid.load(__file__)


def broken(data, *which):
  """The images of a source as it has them, some of them unreadable."""
  images = [data[i]["image"] for i in range(len(data))]
  files = [b"" if i in which else x for i, x in enumerate(images)]
  return sources.ArraySource({"image": files}), [
    x for i, x in enumerate(images) if i not in which
  ]


@pytest.mark.parametrize("bad", [(8,), (0, 1, 2, 3), (3, 8)])
def test_skipped_images_leave_the_statistics_of_the_others(bad):
  """Also where they are a whole batch."""
  source, images = broken(evalkit.source(9, 3), *bad)
  spec = pipeline.Spec(
    batch=4, size=4, threads=0, on_bad_record="skip", max_bad_share=0.9
  )
  found = fid.measure(network(), source, spec)
  x = network().run(np.stack(images))["features"].astype(np.float64)
  mean, cov = found.moments["features"]
  np.testing.assert_allclose(mean, x.mean(0), rtol=1e-6)
  np.testing.assert_allclose(cov, np.cov(x.T), rtol=1e-5)
  assert found.protocol == {"images": 9 - len(bad), "skipped": len(bad)}
  assert np.isfinite(found.features).all()


def test_statistics_of_one_image_are_refused():
  source, _ = broken(evalkit.source(4, 3), 0, 1, 2)
  spec = pipeline.Spec(
    batch=4, size=4, threads=0, on_bad_record="skip", max_bad_share=0.9
  )
  with pytest.raises(errors.UserError, match="1 readable image"):
    fid.measure(network(), source, spec)


def test_features_that_are_not_finite_are_refused():
  run = lambda images: {"features": np.full((len(images), 3), np.nan)}
  spec = pipeline.Spec(batch=16, size=4, threads=0)
  with pytest.raises(errors.UserError, match="features of lost: NaN"):
    fid.measure(extract.Extractor("lost", run), evalkit.source(16, 3), spec)
