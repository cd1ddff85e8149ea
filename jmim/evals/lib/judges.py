"""Networks that look at samples: images to features and scores of classes.

A classifier of another run, or a linear one that is fitted to the pixels of
labelled images here: such numbers compare with those of the same judge only.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import models
from jmim.core import errors
from jmim.data import augment
from jmim.evals.lib import predict
from jmim.metrics import generation
from jmim.metrics import ridge

BATCH = 256
WIDEST = 4096  # features: their covariance is a square of them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
  """Who looks.

  Attributes:
    name: for the protocol.
    run: uint8 [b, h, w, c] -> features [b, d] and logits [b, k].
  """

  name: str
  run: Callable[[np.ndarray], Mapping[str, np.ndarray]]

  def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
    """The same of any number of images, a part at a time."""
    starts = range(0, len(images), BATCH)
    parts = [self.run(images[i : i + BATCH]) for i in starts]
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def of_run(workdir: str, key: str) -> Judge:
  """The classifier of a run, on images resized to its size.

  Args:
    workdir: of the run.
    key: of the config, for messages.

  Raises:
    UserError: no such run, one that offers no features or no logits, or (when
      called) images of another number of channels.
  """
  model = models.of_run(workdir, key=key)
  kind = model.config.method.type
  lacking = {"features", "logits"} - set(model.method.predict())
  if lacking:
    raise errors.UserError(
      f"{kind} offers no {' and no '.join(sorted(lacking))}",
      "a classifier",
      "name the run of one, such as configs/convnet_digits.py",
      key,
    )
  spec = model.images
  heads = {n: predict.output(model.method, n) for n in ("features", "logits")}

  @jax.jit
  def run(weights, images):
    shape = (len(images), *spec.image)
    x = jax.image.resize(images.astype(jnp.float32), shape, "bilinear")
    batch = {"image": augment.normalise(spec, x)}
    out = {n: f(weights, batch, jax.random.key(0)) for n, f in heads.items()}
    flat = lambda x: x.reshape(len(images), -1).astype(jnp.float32)
    return jax.tree.map(flat, out)

  def judge(images):
    if images.shape[-1] != spec.channels:
      raise errors.UserError(
        f"samples of {images.shape[-1]} channel(s)",
        f"{spec.channels}, as the classifier of {workdir}",
        "name another classifier",
        key,
      )
    return jax.tree.map(np.asarray, run(model.weights, images))

  return Judge(name=f"{kind} of {workdir}", run=judge)


def linear(
  images: np.ndarray, labels: np.ndarray, penalty: float, key: str
) -> Judge:
  """Ridge regression from pixels to classes; its features are the pixels.

  Args:
    images: uint8 [n, h, w, c] to fit to.
    labels: [n] ints.
    penalty: of the weights, pixels being in 0 .. 1.
    key: of the config, for messages.

  Raises:
    UserError: images too large to be features.
  """
  flat = lambda x: x.reshape(len(x), -1).astype(np.float32) / 255
  x = flat(images)
  if x.shape[1] > WIDEST:
    raise errors.UserError(
      f"images of {x.shape[1]} numbers as features",
      f"at most {WIDEST}, whose covariance can be computed",
      "name the run of a classifier",
      key,
    )
  mean, classes = x.mean(0), int(labels.max()) + 1
  columns = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
  offset = columns.mean(0)
  weights = ridge.solve(x - mean, columns - offset, penalty)

  def run(images):
    x = flat(images)
    return {"features": x, "logits": (x - mean) @ weights + offset}

  return Judge(name=f"ridge on pixels, penalty {penalty:g}", run=run)


def scores(
  judge: Judge,
  made: np.ndarray,
  asked: np.ndarray | None,
  real: np.ndarray,
  labels: np.ndarray,
) -> dict[str, float]:
  """What a judge says of samples and of real images.

  Args:
    judge: looks at both.
    made: uint8 [n, h, w, c] samples.
    asked: [n] the class of each; None: they were made without.
    real: uint8 [m, h, w, c].
    labels: [m].

  Returns:
    frechet: distance of the features of both sets.
    recognised: percent of the samples that are seen as what was asked for;
      recognised_real: of the real images, as what they are.
    spread: within a class, root of the mean squared distance of features to
      those of the class on average; spread_real: of the real images. Samples
      made without classes are one class.
  """
  a, b = judge(made), judge(real)
  x, y = generation.of(a["features"]), generation.of(b["features"])
  frechet = generation.frechet(x.mean, x.covariance, y.mean, y.covariance)
  right = lambda out, c: 100 * float((out["logits"].argmax(1) == c).mean())
  spread = generation.spread
  found = {"frechet": frechet, "recognised_real": right(b, labels)}
  if asked is None:
    one = lambda out: np.zeros(len(out["features"]), int)
    asked, labels = one(a), one(b)
  else:
    found["recognised"] = right(a, asked)
  found["spread"] = spread(a["features"], asked)
  return found | {"spread_real": spread(b["features"], labels)}
