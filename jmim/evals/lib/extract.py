"""What turns images into features for FID and its relatives.

Either the InceptionV3 of the original FID graph, with weights the user
supplies, or the encoder of any run of this code base (for use offline: such
numbers compare with nothing published). `name` says which, with a hash, and
goes into every reference file and every result.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import frozen as const_files
from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.data import augment
from jmim.evals.lib import predict
from jmim.nn.frozen import inception

Arrays = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Extractor:
  """A feature extractor.

  Attributes:
    name: which network, with a hash of its weights and the resizing.
    run: uint8 [b, h, w, 3] on the devices -> features [b, d], and (Inception)
      spatial [b, s] and logits [b, c].
  """

  name: str
  run: Callable[[jax.Array], Arrays]


def make(weights: str, sha256: str, workdir: str, key: str) -> Extractor:
  """The extractor of a config: exactly one of Inception and encoder.

  Args:
    weights: .npz of InceptionV3, or "".
    sha256: hash that the file must have, or "".
    workdir: of a run whose encoder is used, or "".
    key: config section, for messages.

  Raises:
    UserError: both or neither, a missing file, another hash or structure.
  """
  if bool(weights) == bool(workdir):
    raise errors.UserError(
      f"{key}: inception={weights!r}, encoder={workdir!r}",
      "exactly one network that makes the features",
      "give the .npz of InceptionV3 (python -m jmim.tools.inception_npz), or "
      "the workdir of a run",
      f"{key}.inception",
    )
  return from_inception(weights, sha256) if weights else from_run(workdir)


def from_inception(path: str, sha256: str = "") -> Extractor:
  """InceptionV3 with the weights of an .npz; see `nn.frozen.inception`."""
  arrays, digest = const_files.read(
    "InceptionV3",
    path,
    sha256=sha256,
    key="inception",
    expected="the .npz that python -m jmim.tools.inception_npz makes",
  )
  shapes = {
    n: jax.ShapeDtypeStruct(s, np.float32)
    for n, s in inception.shapes().items()
  }
  const_files.check(arrays, shapes, "inception", path)
  arrays = jax.tree.map(jnp.asarray, arrays)

  @jax.jit
  def run(arrays: Arrays, images: jax.Array) -> Arrays:
    out = inception.forward(arrays, inception.prepare(images))
    # The original Inception Score leaves the bias of the last layer out.
    logits = out["logits"] - arrays["fc.bias"]
    return {
      "features": out["pool3"],
      "spatial": out["spatial"],
      "logits": logits,
    }

  how = "bilinear to 299, no antialiasing"
  return Extractor(
    f"InceptionV3 pool3 sha256:{digest[:16]}, {how}",
    functools.partial(run, arrays),
  )


def from_run(workdir: str) -> Extractor:
  """The `features` of a run's method, on images resized to its size.

  Raises:
    UserError: no such run, or one whose method has no features; (when called)
      images of another number of channels.
  """
  model = models.of_run(workdir, key="encoder")
  kind = model.config.method.type
  if "features" not in model.method.predict():
    raise errors.UserError(
      f"{kind} offers no features",
      "an encoder",
      "name the run of another method",
      "encoder",
    )
  spec = model.images
  features = predict.output(model.method, "features")

  @jax.jit
  def run(weights: methods.Weights, images: jax.Array) -> Arrays:
    if images.shape[-1] != spec.channels:
      raise errors.UserError(
        f"images of {images.shape[-1]} channel(s)",
        f"{spec.channels}, as the encoder of {workdir}",
        "use another encoder",
        "encoder",
      )
    shape = (len(images), *spec.image)
    x = jax.image.resize(images.astype(jnp.float32), shape, "bilinear")
    batch = {"image": augment.normalise(spec, x)}
    out = features(weights, batch, jax.random.key(0))
    return {"features": out.reshape(len(images), -1).astype(jnp.float32)}

  what = f"{kind} encoder sha256:{_digest(model.weights.params)[:16]}"
  to = f"{spec.height} x {spec.size}" if spec.height else spec.size
  name = f"{what}, bilinear to {to}"
  return Extractor(name, functools.partial(run, model.weights))


def _digest(params: methods.Tree) -> str:
  """Hash of the names and the bytes of all leaves."""
  digest = hashlib.sha256()
  for name, leaf in sorted(trees.named(params).items()):
    digest.update(name.encode() + np.asarray(leaf).tobytes())
  return digest.hexdigest()
