"""Linear probes on frozen patch tokens: segmentation, or depth.

    z_p  = (f_p - mean f) / sqrt(var f + 1e-6)    over images and patches
    m    = upsample(W z + b)                       bilinear, to the pixels
    segmentation: cross entropy per pixel          mIoU, pixel accuracy
    depth:        (m - log d)^2                    RMSE and |d - d*| / d*

The linear protocol of DINOv2 (BatchNorm, one linear map per patch, bilinear
upsampling), with the head trained by AdamW on tokens kept in memory and no
augmentation; a grid of learning rates in one pass. The value without suffix
is the best of the grid on the evaluation split. Beside it: the same for a
head that sees no image (the training set's most frequent class, mean depth).

The annotation is read as the data set stores it, so images must be neither
cropped nor resized (`data.eval_crop="none"`): the data set must be of the size
that the method reads.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals import linear
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import frozen
from jmim.evals.lib import stored
from jmim.metrics import dense
from jmim.runlog import readings


def maps(
  params: frozen.Tree,
  extra: frozen.Tree,
  tokens: jax.Array,
  train: bool,
  side: tuple[int, int],
) -> tuple[jax.Array, frozen.Tree]:
  """([rates, b, *side, c] logits of every pixel, new running statistics).

  Args:
    params: as from `linear.init`, of one feature "tokens".
    extra: its running statistics.
    tokens: [b, h, w, d].
    train: use and record batch statistics.
    side: (height, width) in pixels.
  """
  b, h, w, d = tokens.shape
  flat = {"tokens": tokens.reshape(-1, d)}
  scores, extra = linear.logits(params, extra, flat, train)
  low = scores["tokens"].reshape(-1, b, h, w, scores["tokens"].shape[-1])
  shape = (*low.shape[:2], *side, low.shape[-1])
  return jax.image.resize(low, shape, "bilinear", antialias=False), extra


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Segmentation (percent) or depth (unit of the data) from patch tokens."""

  reads = (
    (r"(miou|pixel_accuracy)(_lr.+)?", readings.PERCENT),
    (r"(rmse|abs_rel)(_lr.+)?", readings.LESS),
  )

  predict: str = field.value("tokens", "patch tokens [b, h, w, d]")
  task: str = field.value(
    "segmentation", "map that is probed", choices=("segmentation", "depth")
  )
  target: str = field.value("semantic", "annotation of the data set")
  data: str = field.value("", "data set, e.g. 'shapes/small'; '': the run's")
  data_dir: str = field.value("", "folder of the data set; '': ~/.cache/jmim")
  lrs: tuple[float, ...] = field.value(
    (1e-2, 1e-3, 1e-4), "peak learning rates"
  )
  epochs: float = field.value(10.0, "passes over the training set", above=0)
  batch: int = field.value(16, "images per step", low=1)
  weight_decay: float = field.value(1e-3, "weight decay of kernels", low=0)
  train_limit: int = field.value(2000, "training images; 0: all", low=0)
  limit: int = field.value(500, "test images; 0: all", low=0)
  examples: int = field.value(6, "images drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields miou and pixel_accuracy, or rmse and abs_rel; and a sheet."""
    if context.spec.eval_crop != "none":
      raise errors.UserError(
        f"data.eval_crop={context.spec.eval_crop!r}",
        "'none': annotations are not cropped with the images",
        "prepare the data at data.size",
        "data.eval_crop",
      )
    context = stored.elsewhere(context, self.data, self.data_dir)
    (x, y), (x_test, y_test) = (
      self._data(context, split, limit)
      for split, limit in (("train", self.train_limit), ("eval", self.limit))
    )
    classes = self._classes(y, y_test)
    params, extra = linear.init(
      jax.random.key(context.seed),
      {"tokens": x.shape[-1]},
      len(self.lrs),
      classes,
    )
    steps = max(1, round(self.epochs * len(x) / self.batch))
    optimizer = frozen.make_optimizer(
      params,
      self.lrs,
      steps,
      0.0,
      name="adamw",
      b1=0.9,
      b2=0.999,
      eps=1e-8,
      weight_decay=self.weight_decay,
    )
    data = frozen.replay(
      context, {"tokens": x}, targets=y, batch=self.batch, steps=steps
    )
    params, extra = frozen.fit(
      self._loss, params, extra=extra, optimizer=optimizer, batches=data
    )
    guess = self._guess(
      context, params, extra=extra, x=x_test, side=y.shape[1:]
    )
    scores = [self._values(y_test, g, classes) for g in guess]
    best = self._best(scores)
    yield from scores[best].items()
    for lr, values in zip(self.lrs, scores, strict=True):
      yield from ((f"{k}_lr{lr:g}", v) for k, v in values.items())
    yield from self._blind(y, y_test, classes)
    yield "sheet", self._sheet(context, y_test, guess[best])
    yield "examples", len(x_test)

  def _data(
    self, context: contexts.Context, split: str, limit: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """(tokens [n, h, w, d], targets [n, H, W])."""
    x, index = context.rows(self.predict, split, limit or None, self.weights)
    return x, stored.annotation(context, split, index, self.target)

  def _classes(self, *targets: np.ndarray) -> int:
    if self.task == "depth":
      return 1
    return 1 + max(int(y[y != dense.IGNORE].max()) for y in targets)

  def _loss(
    self,
    params: frozen.Tree,
    extra: frozen.Tree,
    outputs: frozen.Outputs,
    targets: jax.Array,
  ) -> tuple[jax.Array, frozen.Tree]:
    logits, extra = maps(
      params,
      extra,
      tokens=outputs["tokens"],
      train=True,
      side=targets.shape[1:],
    )
    if self.task == "depth":
      error = (logits[..., 0] - jnp.log(targets)) ** 2
      return error.reshape(len(error), -1).mean(1).sum(), extra
    logs = jax.nn.log_softmax(logits)
    counted = targets != dense.IGNORE
    labels = jnp.where(counted, targets, 0).astype(jnp.int32)
    labels = jnp.broadcast_to(labels, logs.shape[:-1])
    picked = jnp.take_along_axis(logs, labels[..., None], -1)[..., 0]
    return -(picked * counted).sum() / jnp.maximum(counted.sum(), 1), extra

  def _guess(
    self,
    context: contexts.Context,
    params: frozen.Tree,
    extra: frozen.Tree,
    x: np.ndarray,
    side: tuple[int, int],
  ) -> np.ndarray:
    """[rates, n, H, W] classes or depths."""

    @context.devices.jit
    def predict(tokens):
      logits, _ = maps(params, extra, tokens=tokens, train=False, side=side)
      depth = self.task == "depth"
      return jnp.exp(logits[..., 0]) if depth else logits.argmax(-1)

    size, parts = context.spec.batch, []
    for start in range(0, len(x), size):
      part = context.devices.put_whole({"tokens": x[start : start + size]})
      parts.append(np.asarray(predict(part["tokens"])))
    return np.concatenate(parts, axis=1)

  def _values(
    self, truth: np.ndarray, guess: np.ndarray, classes: int
  ) -> dict[str, float]:
    if self.task == "depth":
      error = guess.astype(np.float64) - truth
      return {
        "rmse": float(np.sqrt((error**2).mean())),
        "abs_rel": float((abs(error) / truth).mean()),
      }
    counts = dense.confusion(truth, guess, classes)
    return {
      "miou": dense.mean_iou(counts),
      "pixel_accuracy": dense.pixel_accuracy(counts),
    }

  def _best(self, scores: list[dict[str, float]]) -> int:
    """Number of the rate whose first score is best."""
    first = [next(iter(values.values())) for values in scores]
    return int(np.argmin(first) if self.task == "depth" else np.argmax(first))

  def _blind(
    self, y: np.ndarray, truth: np.ndarray, classes: int
  ) -> base.Results:
    """Scores of a head that sees no image."""
    if self.task == "depth":
      blind = np.full(truth.shape, np.exp(np.log(y).mean()))
    else:
      counts = np.bincount(y[y != dense.IGNORE].ravel(), minlength=classes)
      blind = np.full(truth.shape, counts.argmax())
    for key, value in self._values(truth, blind, classes).items():
      yield f"blind_{key}", value

  def _sheet(
    self, context: contexts.Context, truth: np.ndarray, guess: np.ndarray
  ) -> np.ndarray:
    n = self.examples
    _, images = context.rows("pixels", "eval", n, self.weights, entry="image")
    if self.task == "depth":
      paint = lambda x: draw.heat(x, truth.min(), truth.max())
    else:
      paint = draw.classes
    return draw.sheet(
      {"image": images, "truth": paint(truth[:n]), "probe": paint(guess[:n])}
    )
