"""Two towers of another run: pictures and texts as vectors of one space.

A run of `text.clip`, or of converted weights: whatever offers `features` of
images and `text` of tokens. Texts become tokens as that run's own did.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import identity
from jmim.checkpoints import models
from jmim.core import errors
from jmim.data import augment
from jmim.data import specs
from jmim.data import texts
from jmim.evals.lib import finite
from jmim.evals.lib import predict
from jmim.nn import resize

OUTPUTS = ("features", "text")


class Towers(NamedTuple):
  """Both towers.

  Attributes:
    pictures: uint8 [b, h, w, c], of any size -> [b, d].
    texts: b of them -> [b, d].
    protocol: entries for the result line: the hash of the weights.
  """

  pictures: Callable[[np.ndarray], np.ndarray]
  texts: Callable[[Sequence[str]], np.ndarray]
  protocol: dict[str, str]


def of_run(workdir: str, weights: str, key: str) -> Towers:
  """Those of a run's newest checkpoint.

  Args:
    workdir: of the run.
    weights: "raw" or "ema".
    key: of the config, for messages.

  Raises:
    UserError: no such run, one without both outputs, one whose tokens are
      stored, or (when called) pictures of another number of channels.
  """
  model = models.of_run(workdir, weights, key=key)
  lacking = [x for x in OUTPUTS if x not in model.method.predict()]
  if lacking:
    raise errors.UserError(
      f"{workdir} is a run of {model.config.method.type}, which offers no "
      + " and no ".join(lacking),
      "vectors of pictures and of texts in one space",
      "name a run of text.clip (configs/clip_scenes.py, or converted weights)",
      key,
    )
  spec = specs.of_run(model.config.data)
  making = texts.of(spec)
  if making is None:
    raise errors.UserError(
      f"{workdir} has data.tokenizer='': its texts were stored as tokens",
      "a run that makes tokens of texts",
      "name a run with data.tokenizer",
      key,
    )
  run = {n: jax.jit(predict.output(model.method, n)) for n in OUTPUTS}

  def ask(name: str, batch: dict[str, jax.Array]) -> np.ndarray:
    found = np.asarray(run[name](model.weights, batch, jax.random.key(0)))
    finite.check(found)
    return found

  height, width, channels = model.method.inputs()["image"].shape

  def pictures(images: np.ndarray) -> np.ndarray:
    if images.shape[-1] != channels:
      raise errors.UserError(
        f"pictures of {images.shape[-1]} channel(s)",
        f"{channels}, as {workdir} reads them",
        "name another run",
        key,
      )
    x = jnp.asarray(images, jnp.float32)
    x = jnp.clip(resize.images(x, (height, width), "smooth"), 0.0, 255.0)
    return ask("features", {"image": augment.normalise(spec, x)})

  def said(written: Sequence[str]) -> np.ndarray:
    tokens = np.stack([making.tokens(text) for text in written])
    return ask("text", {"tokens": jnp.asarray(tokens)})

  digest = identity.of_weights(model.weights)
  what = {"judge": f"{model.config.method.type} sha256:{digest}"}
  return Towers(pictures, said, what)
