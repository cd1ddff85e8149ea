import math

import evalkit
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.data import augment
from jmim.data import pipeline
from jmim.evals import fid
from jmim.evals import nll
from jmim.evals import samples
from jmim.evals.lib import extract
from jmim.metrics import generation
from jmim.modes import train
from jmim.session import restore
from jmim.session import session as sessions
from jmim.session.hooks import evaluate
from jmim.tools import inception_npz
from jmim.tools import make_fid_stats


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
  assert found.protocol == {"images": 53} and len(found.features) == 40
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
      pixels = np.asarray(augment.denormalise(context.augment, out))
      made += list(pixels[batch["valid"]])
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
  assert first["protocol"]["reference"] == {"file": "train", "images": 40}


@pytest.mark.parametrize(
  "changes, text",
  [
    ({"allow_few": False}, "at least 10,000"),
    ({"encoder": ""}, "exactly one network"),
    ({"inception": "x.npz"}, "exactly one network"),
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


def test_weights_are_checked_by_hash_and_structure(tmp_path):
  path = tmp_path / "weights.npz"
  np.savez(path, **{"fc.bias": np.zeros(3)})
  with pytest.raises(errors.UserError, match="sha256"):
    extract.from_inception(str(path), "0" * 64)
  with pytest.raises(errors.UserError, match="Conv2d_1a_3x3"):
    extract.from_inception(str(path))
  with pytest.raises(errors.UserError, match="6726825d"):
    inception_npz.check(path, accept=False)
  inception_npz.check(path, accept=True)


@pytest.mark.slow
def test_the_encoder_of_a_run_makes_features(tmp_path, capsys):
  config = configs.base()
  config.data.update(
    name="digits/plain",
    data_dir=str(tmp_path / "data"),
    batch=16,
    size=8,
    channels=1,
    flip=False,
    mean=(0.5,),
    std=(0.5,),
  )
  config.method = configs.section(
    type="mim.mae",
    variant="Ti/4",
    size=8,
    channels=1,
    width=16,
    depth=1,
    heads=2,
    decoder_width=8,
    decoder_depth=1,
    decoder_heads=2,
  )
  config.train.update(total_steps=2, log_steps=2)
  config.hardware.compile_cache = ""
  train.run(config, tmp_path / "run")
  made = extract.from_run(str(tmp_path / "run"))
  images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
  features = np.asarray(made.run(images)["features"])
  with sessions.open(config, tmp_path / "run", write=False) as session:
    restored = restore.only_weights(session)
    context = evaluate.make_context(
      session.parts, restored.program, restored.batches
    )
    context.start(restored.point.state)
    want = context.apply("features", {"image": images}, "raw", whole=True)
  np.testing.assert_allclose(features, want, rtol=1e-4, atol=1e-5)
  out = tmp_path / "stats.npz"
  capsys.readouterr()
  code = make_fid_stats.main(
    [
      "--name=digits/plain",
      f"--data_dir={tmp_path / 'data'}",
      "--split=test",
      "--size=8",
      "--limit=30",
      f"--encoder={tmp_path / 'run'}",
      f"--out={out}",
      "--channels=1",
    ]
  )
  assert code == 0 and made.name in capsys.readouterr().out
  stored = fid.load(out)
  assert stored.extractor == made.name and stored.protocol["images"] == 30


def test_sample_grids_repeat_their_noise():
  context = evalkit.context()
  first = dict(samples.Evaluator(examples=9, columns=3).run(context))
  other = evalkit.context(batch=16)
  other.start(evalkit.state(*other.tree("untrained"), step=700))
  again = dict(samples.Evaluator(examples=9, columns=3).run(other))
  np.testing.assert_array_equal(first["grid"], again["grid"])
  assert first["std"] == again["std"] > 10


def test_bits_per_dimension_by_hand():
  context = evalkit.context()
  values = dict(nll.Evaluator().run(context))
  images, _ = context.rows("pixels", "eval", None, "raw")
  want = (images.astype(np.float64) ** 2).sum((1, 2, 3)).mean()
  np.testing.assert_allclose(values["nats"], want, rtol=1e-5)
  np.testing.assert_allclose(
    values["bits_per_dim"], want / 48 / math.log(2), rtol=1e-5
  )
  assert values["examples"] == 21
