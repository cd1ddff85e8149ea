"""What turns images into features for FID and its relatives; no evaluator.

Either the InceptionV3 of the original FID graph, with weights the user
supplies, or the encoder of any run of this code base (for use offline: such
numbers compare with nothing published). `name` says which, with a hash, and
goes into every reference file and every result.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from jmim.checkpoints import frozen as const_files
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights as run_weights
from jmim.core import discovery
from jmim.core import errors
from jmim.core import tree as trees
from jmim.core import validate
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.nn.frozen import inception


@dataclasses.dataclass(frozen=True)
class Extractor:
  """A feature extractor.

  Attributes:
    name: which network, with a hash of its weights and the resizing.
    run: uint8 [b, h, w, 3] on the devices -> features [b, d], and (Inception)
      spatial [b, s] and logits [b, c].
  """

  name: str
  run: Callable[[jax.Array], dict[str, jax.Array]]


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
  arrays, found = const_files.read(
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
  def run(arrays, images):
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
    f"InceptionV3 pool3 sha256:{found[:16]}, {how}",
    functools.partial(run, arrays),
  )


def from_run(workdir: str) -> Extractor:
  """The `features` of a run's method, on images resized to its size."""
  path = pathlib.Path(workdir).expanduser()
  try:
    config = ml_collections.ConfigDict(checkpoint.read_config(path))
    params = run_weights.read_section(path, "params")
  except FileNotFoundError as e:
    raise errors.UserError(
      f"{workdir}: {e}",
      "the workdir of a run with a checkpoint",
      "name one",
      "encoder",
    ) from e
  method = validate.build(
    discovery.find(config.method.type), config.method, "method"
  )
  if "features" not in method.predict():
    raise errors.UserError(
      f"{config.method.type} offers no features",
      "an encoder",
      "name the run of another method",
      "encoder",
    )
  try:
    extra = trees.nested(run_weights.read_section(path, "extra"))
  except FileNotFoundError:  # a method without saved statistics
    extra = {}
  consts = {n: const_files.load(n, c) for n, c in method.consts().items()}
  data, weights = config.data, (trees.nested(params), extra, consts)
  spec = settings.Data(mean=tuple(data.mean), std=tuple(data.std))
  shape = (data.size, data.size, data.channels)

  @jax.jit
  def run(weights, images):
    if images.shape[-1] != data.channels:
      raise errors.UserError(
        f"images of {images.shape[-1]} channel(s)",
        f"{data.channels}, as the encoder of {workdir}",
        "use another encoder",
        "encoder",
      )
    x = jax.image.resize(
      images.astype(jnp.float32), (len(images), *shape), "bilinear"
    )
    batch = {"image": augment.normalise(spec, x)}
    key = jax.random.key(0)
    fn = method.predict()["features"]
    out = fn(*weights, batch, key)
    return {"features": out.reshape(len(images), -1).astype(jnp.float32)}

  digest = hashlib.sha256()
  for name in sorted(params):
    digest.update(name.encode() + np.asarray(params[name]).tobytes())
  what = f"{config.method.type} encoder sha256:{digest.hexdigest()[:16]}"
  name = f"{what}, bilinear to {data.size}"
  return Extractor(name, functools.partial(run, weights))
