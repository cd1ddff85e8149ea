"""Three lines of Python: a folder or file of weights as a frozen model.

import jmim
model = jmim.load("runs/digits")        # or an export, or a hub folder
vectors = model("features", images)     # uint8 images of any size, or paths
model.classify(["a.jpg"])               # names of classes, probabilities
"""

import dataclasses
import pathlib
import warnings
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import models
from jmim.convert import opening
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.data import augment
from jmim.data import decode
from jmim.data import given
from jmim.data import picture
from jmim.data import plain
from jmim.data import specs
from jmim.evals.lib import chunks
from jmim.evals.lib import predict

Images = given.Image | Iterable[given.Image]
Output = np.ndarray | dict[str, np.ndarray]


class Model:
  """A method with its weights; nothing of it is trained.

  Attributes:
    method: the method.
    config: of the run, a nested dict.
    weights: what its outputs are computed with.
    offers: names that calling it takes.
    classes: their names, in the order of the logits; (): not known.
  """

  def __init__(self, model: models.Model, withheld: Collection[str] = ()):
    """Keeps a frozen model.

    Args:
      model: of a run or a file.
      withheld: outputs not offered, for want of their weights.
    """
    self._model, self._withheld = model, withheld
    self.method, self.weights = model.method, model.weights
    self.config, self.classes = model.config.to_dict(), model.classes
    self.offers = tuple(n for n in self.method.predict() if n not in withheld)
    self._spec = specs.of_run(model.config.data)
    self._compiled: dict[str, Callable] = {}

  def override(self, *items: str) -> "Model":
    """The same weights under another config.

    Args:
      *items: "key=value", as after --config.; "method.sampling.steps=50", say.

    Raises:
      UserError: unknown key or wrong type.
    """
    if any(item.startswith("evals.") for item in items):
      # Looks their classes up, which nothing else does here.
      discovery.check_stored(self._model.config, "the config", ["evals"])
    config = configs.override(self._model.config, items)
    method = discovery.make(config.method)
    model = dataclasses.replace(self._model, config=config, method=method)
    return Model(model, self._withheld)

  def preprocess(self, images: Images) -> np.ndarray:
    """Images as the evaluation of the run sees them.

    Where that takes them as they are (data.eval_crop="none"), those of another
    size are resized, and a warning says so. With data.box they are what the run
    has stored, of which it is cut first.

    Args:
      images: uint8 arrays [h, w, c] of any size, encoded bytes, paths or
        pictures of Pillow; or one array [b, h, w, c]. One image alone is a
        batch of one. See `data.given`.

    Returns:
      float32 [b, h, w, c], normalised: [size, size] or `data.height`.

    Raises:
      UserError: no images, files that are not there, or one that data.box is
        not in.
      BadImage: one cannot be decoded.
    """
    data = self._spec
    ready = [
      plain.cut(
        self._resized(self._read(image, f"image {i}")),
        data.sides,
        crop=data.eval_crop,
        resize_to=data.eval_resize,
        kernel=data.kernel,
      )
      for i, image in enumerate(given.images(images))
    ]
    return np.asarray(augment.normalise(data, np.stack(ready)))

  def _read(self, image: bytes | np.ndarray, name: str) -> np.ndarray:
    """uint8 [h, w, c]: the part of an image that the run reads."""
    data = self._spec
    opened = picture.Picture(
      image, data.channels, kernel=data.kernel, max_pixels=data.max_pixels
    )
    return (opened.part(data.box, name) if data.box else opened).pixels

  def _resized(self, image: np.ndarray) -> np.ndarray:
    """The image [h, w, c]; resized if it must be of a size and is not."""
    h, w = image.shape[:2]
    high, wide = self._spec.sides
    if self._spec.eval_crop != "none" or (h, w) == (high, wide):
      return image
    warnings.warn(
      f"an image of {h} x {w} pixels is resized to {high} x {wide}: "
      "the run evaluates images as they are (data.eval_crop='none')",
      stacklevel=3,
    )
    return decode.resize(image, high, wide)

  def __call__(
    self,
    name: str,
    images: Images | None = None,
    *,
    seed: int = 0,
    batch_size: int = 64,
    **batch: jax.typing.ArrayLike,
  ) -> Output:
    """An output of the model for images, however many.

    They are computed in batches, filled up to a power of two: programs are
    compiled for a few sizes, not for each number of images.

    Args:
      name: one of `offers`; "name/entry": one entry of a dict.
      images: see `preprocess`; None where the output reads none.
      seed: of what the output draws, for each batch its own.
      batch_size: most images that are computed at once.
      **batch: other entries of the batch (label, index), with a first
        dimension.

    Returns:
      numpy arrays [b, ...], or a dict of them; b is 1 for one image.

    Raises:
      UserError: the model has no such output, an entry is out of its range, or
        as `preprocess`.
    """
    self._check(name)
    for key, values in batch.items():
      self._check_entry(key, np.asarray(values))
    if images is not None:
      batch["image"] = self.preprocess(images)
    make = lambda: predict.output(self.method, name)
    batch = {key: np.asarray(values) for key, values in batch.items()}
    run = lambda part, start: self._run(name, make, part, seed, start=start)
    return chunks.compute(run, batch, batch_size)

  def classify(
    self, images: Images, top: int = 5, batch_size: int = 64
  ) -> list[list[tuple[str, float]]]:
    """Of each image its likeliest classes and their probabilities.

    Args:
      images: see `preprocess`.
      top: how many classes, the likeliest first.
      batch_size: most images that are computed at once.

    Returns:
      one list of (name, probability in 0 ... 1) per image. Where names are not
      known they are numbers.

    Raises:
      UserError: the model has no logits, or as `preprocess`.
    """
    logits = self("logits", images, batch_size=batch_size)
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    names = self.classes or [str(i) for i in range(logits.shape[-1])]
    order = np.argsort(-shares, axis=-1, kind="stable")[:, :top]
    return [
      [(names[i], float(row[i])) for i in best]
      for row, best in zip(shares, order, strict=True)
    ]

  def sample(
    self, num: int, label: int | None = None, seed: int = 0
  ) -> np.ndarray:
    """uint8 [num, h, w, c] images; image i depends on (seed, i) only.

    int32 [num, l] of a method that samples tokens, float32 [num, n, 3] of one
    that samples clouds.

    Args:
      num: how many, at least 1.
      label: class of all; None: the classes in turn.
      seed: of the noise.

    Raises:
      UserError: the model does not sample, has no such class, or what it
        sampled is not finite.
    """
    self._check("sample")
    if not isinstance(num, int | np.integer) or num < 1:
      raise errors.UserError(f"num={num!r}", "1 or more", "correct it", "num")
    batch = predict.conditions(self.method, np.arange(num), label)
    make = lambda: predict.samples(self.method, self._spec)
    made, finite = self._run("<samples>", make, batch, seed)
    predict.require_finite(finite, "samples")
    return made

  def _check_entry(self, name: str, values: np.ndarray) -> None:
    """Raises UserError for labels (or ids) that are none of the method's."""
    known = self.method.inputs().get(name)
    if known is None or known.high is None:
      return
    whole = np.issubdtype(values.dtype, np.integer)
    if not whole or ((values < 0) | (values >= known.high)).any():
      ends = f", {values.min()} to {values.max()}" if values.size else ""
      raise errors.UserError(
        f"{name}: {values.dtype}{list(values.shape)}{ends}",
        f"integers from 0 to {known.high - 1}",
        "correct them",
        name,
      )

  def _check(self, name: str) -> None:
    """Raises UserError for an output that the model has not."""
    if name.partition("/")[0] not in self.offers:
      raise errors.UserError(
        f"output {name!r}",
        f"one of {', '.join(self.offers)}",
        "ask for one of these",
        None,
      )

  def _run(
    self,
    name: str,
    make: Callable[[], Callable],
    batch: Mapping[str, jax.typing.ArrayLike],
    seed: int,
    start: int = 0,
  ) -> Output:
    """What the function of a name gives, as numpy; compiled once.

    `start` is the number of the first example among all that are asked for.
    """
    if name not in self._compiled:
      self._compiled[name] = jax.jit(make())
    batch = {k: jnp.asarray(v) for k, v in batch.items()}
    key = jax.random.key(seed)
    key = jax.random.fold_in(key, start) if start else key
    out = self._compiled[name](self.weights, batch, key)
    return jax.tree.map(np.asarray, out)


def load(
  path: str | pathlib.Path, weights: str = "raw", host: str | None = None
) -> Model:
  """A run, an export, a folder of the Hugging Face hub, or a file in one.

  Args:
    path: workdir, folder, or file of weights with a config beside it.
    weights: "raw" or "ema"; what is no run has those that were exported.
    host: of weights that are laid over one: another of the same shape, a run
      or an .npz. None: the one that they were trained on.

  Raises:
    UserError: nothing there that can be read, names or shapes that differ,
      weights that are not there, or a host that they were not trained on.
  """
  return Model(*opening.model(path, weights, host))
