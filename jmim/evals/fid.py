"""Generation metrics against a reference file: FID and its relatives.

    FID  = |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))     pool3 features
    sFID = the same on spatial features;  FID_inf: the line over 1/n at 0
    KID, precision, recall: see `metrics.generation`;   IS from the logits

Samples are the method's `sample`, rounded to 8 bits, as files would be; the
reference is made by `python -m jmim.tools.make_fid_stats` and holds the whole
protocol, or is measured from a split of the run's own data. Both must come
from the same features (Inception with the same weights, or the encoder of the
same run), or it refuses. FID is biased by the
number of samples: below 10,000 it refuses without `allow_few`, and
`infinity=True` adds the extrapolation. Keys: fid, sfid and is (Inception
only), kid, kid_std, precision, recall, fid_infinity.
"""

import dataclasses
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import npz
from jmim.core import errors
from jmim.core import field
from jmim.core import files
from jmim.core import home
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import splits
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import extract
from jmim.metrics import generation
from jmim.runlog import readings

FEW = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
  """A reference file.

  Attributes:
    extractor: name of the network and resizing.
    protocol: data, split, size, crop, number of images ...
    moments: "features" and perhaps "spatial" -> (mean, covariance).
    features: [m, d] of a part of the images, for KID, precision and recall.
  """

  extractor: str
  protocol: dict[str, Any]
  moments: dict[str, tuple[np.ndarray, np.ndarray]]
  features: np.ndarray


def save(path: str | pathlib.Path, reference: Reference) -> None:
  """Writes an .npz; what was there stays where that fails."""
  arrays = {}
  for name, (mean, cov) in reference.moments.items():
    arrays |= {f"{name}/mean": mean, f"{name}/cov": cov}
  about = {"extractor": reference.extractor, **reference.protocol}
  arrays |= {"features": reference.features, "protocol": json.dumps(about)}
  with files.writing(pathlib.Path(path)) as file:
    np.savez(file, **arrays)


def load(path: str | pathlib.Path, key: str = "reference") -> Reference:
  """Reads a file of `save`.

  Raises:
    UserError: no such file, or another kind of file.
  """
  file = home.expand(path, key)
  try:
    arrays = npz.read(file, key)
    about = json.loads(str(arrays["protocol"]))
    names = [n.removesuffix("/mean") for n in arrays if n.endswith("/mean")]
    moments = {n: (arrays[f"{n}/mean"], arrays[f"{n}/cov"]) for n in names}
    extractor = about.pop("extractor")
    return Reference(
      extractor=extractor,
      protocol=about,
      moments=moments,
      features=arrays["features"],
    )
  except (OSError, KeyError, ValueError) as e:
    raise errors.UserError(
      f"reference {str(file)!r}: {getattr(e, 'seen', e)}",
      "a file of jmim.tools.make_fid_stats",
      "make one for this data set and these features",
      key,
    ) from e


def measure(
  network: extract.Extractor,
  source: sources.Source,
  spec: pipeline.Spec,
  limit: int | None = None,
  keep: int = FEW,
) -> Reference:
  """Statistics of a source.

  Args:
    network: makes the features.
    source: of images.
    spec: of the evaluation transform.
    limit: images, a fixed random part; None: all.
    keep: features kept, of a fixed random part.

  Returns:
    The statistics; their protocol says how many images they hold and how many
    were skipped as unreadable.

  Raises:
    UserError: fewer than two images, or features that are not finite.
  """
  moments: dict[str, generation.Moments] = {}
  for batch in pipeline.evaluation_batches(source, spec, limit):
    outputs = _features(network, batch["image"])
    for name in {"features", "spatial"} & outputs.keys():
      rows = outputs[name][batch["valid"]]
      moments.setdefault(name, generation.Moments()).add(rows)
  count = moments["features"].count
  if count < 2:
    raise errors.UserError(
      f"{count} readable image(s) for reference statistics",
      "at least 2",
      "use another split or limit",
      "data.name",
    )
  kept = []
  few = min(keep, count)
  for batch in pipeline.evaluation_batches(source, spec, few):
    rows = _features(network, batch["image"])["features"]
    kept.append(rows[batch["valid"]])
  wanted = len(source) if limit is None else min(limit, len(source))
  return Reference(
    extractor=network.name,
    protocol={"images": count, "skipped": wanted - count},
    moments={n: (m.mean, m.covariance) for n, m in moments.items()},
    features=np.concatenate(kept).astype(np.float32),
  )


def _features(
  network: extract.Extractor, images: np.ndarray | jax.Array
) -> dict[str, np.ndarray]:
  """What the network makes of uint8 images [b, h, w, c], on the host.

  Raises:
    UserError: some of it is not finite: no metric would be a number.
  """
  outputs = network.run(jnp.asarray(images))
  outputs = {k: np.asarray(x) for k, x in outputs.items()}
  wrong = [k for k, x in outputs.items() if not np.isfinite(x).all()]
  if wrong:
    raise errors.UserError(
      f"{', '.join(wrong)} of {network.name}: NaN or infinite",
      "finite features",
      "use a network with sound weights",
      "evals.<name>.encoder",
    )
  return outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """FID, sFID, IS, KID, precision and recall of a method's samples."""

  reads = (
    (r"s?fid|fid_infinity|kid", readings.LESS),
    ("is|precision|recall", readings.MORE),
  )

  predict: str = field.value("sample", "images [b, h, w, c], as the inputs")
  reference: str = field.value(
    "", "file of jmim.tools.make_fid_stats; train or eval: that split"
  )
  inception: str = field.value("", ".npz of InceptionV3; or `encoder`")
  inception_sha256: str = field.value("", "hash that the file must have")
  encoder: str = field.value("", "workdir of a run whose features are used")
  samples: int = field.value(50_000, "images generated", low=2)
  allow_few: bool = field.value(False, "accept fewer than 10,000 samples")
  infinity: bool = field.value(False, "FID extrapolated to n -> inf too")
  neighbours: int = field.value(3, "k of precision and recall", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the metrics; what they rest on is in the protocol."""
    if self.samples < FEW and not self.allow_few:
      raise errors.UserError(
        f"{self.samples} samples",
        f"at least {FEW:,}: FID is biased by them",
        "raise evals.<name>.samples, or set allow_few=True",
        "evals.<name>.samples",
      )
    _check_enough("samples", self.samples, self)
    network = extract.make(
      self.inception, self.inception_sha256, self.encoder, "evals.<name>"
    )
    reference = self._reference(context, network)
    if reference.extractor != network.name:
      raise errors.UserError(
        f"features of {network.name}",
        f"{reference.extractor}, as reference",
        "use the same network for both",
        "evals.<name>.reference",
      )
    _check_enough("images of the reference", len(reference.features), self)
    outputs = self._outputs(context, network)
    yield from self._values(outputs, reference)
    yield "samples", len(outputs["features"])
    yield (
      "protocol",
      {
        "features": network.name,
        "reference": {
          "file": self.reference,
          **reference.protocol,
        },
      },
    )

  def _reference(
    self, context: contexts.Context, network: extract.Extractor
  ) -> Reference:
    """From the file, or measured once from a split of the run."""
    if self.reference not in splits.OF_RUN:
      return load(self.reference, "evals.<name>.reference")
    source = context.sources[self.reference]
    return context.once(
      ("reference", network.name, self.reference),
      lambda: measure(network, source, context.spec),
    )

  def _outputs(
    self, context: contexts.Context, network: extract.Extractor
  ) -> dict[str, np.ndarray]:
    """Features of exactly `samples` images; conditions are the split's."""
    parts, count, key = [], 0, 0
    # A limit, even of all, is a random order: files are often sorted by class.
    everything = len(context.sources["eval"])
    while count < self.samples:
      for out, _ in context.outputs(
        self.predict, "eval", everything, self.weights, key=key
      ):
        images = context.pixels(out)[: self.samples - count]
        images = context.devices.put_whole({"": images})[""]
        parts.append(_features(network, images))
        count, key = count + len(images), key + 1
        if count == self.samples:
          break
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

  def _values(
    self, outputs: dict[str, np.ndarray], reference: Reference
  ) -> base.Results:
    x, real = outputs["features"], reference.features
    for name, key in (("features", "fid"), ("spatial", "sfid")):
      if name in outputs and name in reference.moments:
        moments = generation.of(outputs[name])
        yield (
          key,
          generation.frechet(
            moments.mean, moments.covariance, *reference.moments[name]
          ),
        )
    if self.infinity:
      mean, covariance = reference.moments["features"]
      yield "fid_infinity", generation.frechet_infinity(x, mean, covariance)
    if "logits" in outputs:
      score, std = generation.inception_score(outputs["logits"])
      yield "is", score
      yield "is_std", std
    distance, std = generation.kernel_distance(real, x)
    yield "kid", distance
    yield "kid_std", std
    few = min(FEW, len(x), len(real))
    precision, recall = generation.precision_recall(
      real[:few], x[:few], self.neighbours
    )
    yield "precision", precision
    yield "recall", recall


def _check_enough(what: str, count: int, evaluator: Evaluator) -> None:
  """Raises UserError where no example has so many neighbours, or no pair."""
  least = max(evaluator.neighbours + 1, 3 if evaluator.infinity else 2)
  if count < least:
    raise errors.UserError(
      f"{count} {what}",
      f"at least {least}: neighbour {evaluator.neighbours} of each is asked "
      "for",
      "take more of them, or fewer neighbours",
      "evals.<name>.neighbours",
    )
