"""Three lines of Python: a folder or file of weights as a frozen model.

import jmim
model = jmim.load("runs/digits")        # or an export, or a hub folder
vectors = model("features", images)     # uint8 images of any size
"""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.checkpoints import compare
from jmim.checkpoints import frozen as const_files
from jmim.checkpoints import store as checkpoint
from jmim.convert import exporting
from jmim.convert import families
from jmim.convert import files
from jmim.convert import importing
from jmim.convert import plan as plans
from jmim.core import errors
from jmim.core import tree as trees
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.data import decode
from jmim.session import build


class Model:
  """A method with its weights; nothing of it is trained.

  Attributes:
    method: the method.
    config: of the run, a nested dict.
    params: player -> tree.
    extra: what else its outputs read.
    offers: names that calling it takes.
  """

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    named: dict[str, Any],
    withheld: Sequence[str] = (),
  ):
    """Builds the method of a config around its leaves.

    Args:
      config: complete.
      named: leaf name ("params/...", "extra/...") -> array.
      withheld: outputs not offered, for want of their weights.
    """
    self.config, self.method = config.to_dict(), build.make_method(config)
    tree = {"params": {}, "extra": {}} | trees.nested(named)
    self.params, self.extra = jax.device_put((tree["params"], tree["extra"]))
    self._consts = {
      n: const_files.load(n, c) for n, c in self.method.consts().items()
    }
    outputs = self.method.predict()
    self._outputs = {n: f for n, f in outputs.items() if n not in withheld}
    self.offers = tuple(self._outputs)
    data = self.config["data"]
    self._spec = settings.Data(mean=tuple(data["mean"]), std=tuple(data["std"]))
    self._compiled: dict[str, Any] = {}

  def preprocess(self, images: Any) -> np.ndarray:
    """Images as the evaluation of the run sees them.

    Args:
      images: uint8 arrays [h, w, c] of any size, encoded bytes, or one array
        [b, h, w, c].

    Returns:
      float32 [b, size, size, c], normalised.
    """
    data = self.config["data"]
    size, short = data["size"], data["eval_resize"] or data["size"]
    ready = []
    for image in images:
      x = decode.decode(image, data["channels"])
      if data["eval_crop"] == "center":
        x = decode.center(x, size, short)
      elif x.shape[:2] != (size, size):
        x = decode.resize(x, size, size)
      ready.append(x)
    return np.asarray(augment.normalise(self._spec, np.stack(ready)))

  def __call__(
    self, name: str, images: Any = None, *, seed: int = 0, **batch: Any
  ) -> Any:
    """An output of the model for a batch.

    Args:
      name: one of `offers`.
      images: see `preprocess`; None where the output reads none.
      seed: of what the output draws.
      **batch: other entries of the batch (label, index), with a first
        dimension.

    Raises:
      UserError: the model has no such output.
    """
    if name not in self._outputs:
      raise errors.UserError(
        f"output {name!r}",
        f"one of {', '.join(self.offers)}",
        "ask for one of these",
        None,
      )
    batch = {k: jnp.asarray(v) for k, v in batch.items()}
    if images is not None:
      batch["image"] = jnp.asarray(self.preprocess(images))
    if name not in self._compiled:
      self._compiled[name] = jax.jit(self._outputs[name])
    key = jax.random.key(seed)
    run = self._compiled[name]
    found = run(self.params, self.extra, self._consts, batch, key)
    return jax.tree.map(np.asarray, found)

  def sample(
    self, num: int, label: int | None = None, seed: int = 0
  ) -> np.ndarray:
    """uint8 [num, h, w, c] images; image i depends on (seed, i) only.

    int32 [num, l] of a method that samples tokens.

    Args:
      num: how many.
      label: class of all; None: the classes in turn.
      seed: of the noise.
    """
    index = np.arange(num, dtype=np.int32)
    batch, labels = {"index": index}, self.method.inputs().get("label")
    if labels:
      each = index % labels.high if label is None else np.full(num, label)
      batch["label"] = each.astype(np.int32)
    found = self("sample", seed=seed, **batch)
    if np.issubdtype(found.dtype, np.integer):
      return found
    return np.asarray(augment.denormalise(self._spec, jnp.asarray(found)))


def load(path: str | pathlib.Path, weights: str = "raw") -> Model:
  """A run, an export, a folder of the Hugging Face hub, or a file in one.

  Args:
    path: workdir, folder, or file of weights with a config beside it.
    weights: of a run: "raw" or "ema".

  Raises:
    UserError: nothing there that can be read, or names or shapes that differ.
  """
  path = pathlib.Path(path).expanduser()
  folder = path if path.is_dir() else path.parent
  if (folder / "checkpoints").is_dir():
    return _run(folder, weights)
  note = folder / exporting.JMIM
  if note.is_file():
    own = json.loads(note.read_text())
    config = ml_collections.ConfigDict(own["config"])
    if not own["family"]:
      return _plain(path, config)
    return _foreign(path, own["family"], config)
  name, config = importing.resolve("auto", str(path), None)
  return _foreign(path, name, config)


def _run(workdir: pathlib.Path, weights: str) -> Model:
  config = ml_collections.ConfigDict(checkpoint.read_config(workdir))
  leaves = exporting.Leaves(workdir, weights)
  named = dict(leaves)
  leaves.close()
  return Model(config, named)


def _plain(path: pathlib.Path, config: ml_collections.ConfigDict) -> Model:
  """Our own names in a file."""
  found = files.read(path)
  like = trees.named(importing.shapes(build.make_method(config)))
  wrong = compare.differences({n: found.entries[n] for n in found}, like)
  if wrong:
    raise errors.UserError(
      f"{path}: " + "; ".join(wrong[:8]),
      "the arrays of its config",
      "export the run again",
      "path",
    )
  return Model(config, dict(found))


def _foreign(
  path: pathlib.Path, name: str, config: ml_collections.ConfigDict
) -> Model:
  """The layout of a family; what it lacks is not offered."""
  method, family = build.make_method(config), families.find(name)
  like = importing.shapes(method)
  made = plans.make(family, method, files.read(path), like)
  named = importing.load(made, method, like, config)
  parts = {n.split("/")[2] for n in made.fresh}
  lost = {"head": ["logits"], "decoder": ["reconstruct"]}
  return Model(config, named, [n for p in parts for n in lost.get(p, [])])
