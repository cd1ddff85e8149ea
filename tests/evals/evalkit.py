"""A method with every output an evaluator may ask for, and contexts on it."""

import dataclasses

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method
from jmim.core import state as states
from jmim.data import pipeline
from jmim.data import sources
from jmim.evals.lib import context as contexts
from jmim.parallel import sharding

CHANNELS, DIM, PATCH = 3, 6, 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Everything(method.Method):
  """One linear map of 2 x 2 patches; all outputs come from it."""

  size: int = 4

  def inputs(self):
    return {"image": method.Input((self.size, self.size, CHANNELS))}

  def init(self, key, batch):
    shape = (PATCH**2 * CHANNELS, DIM)
    return {
      "main": {"dense": {"kernel": 0.2 * jax.random.normal(key, shape)}}
    }, {}

  def tokens(self, params, batch):
    """[b, h, w, DIM]."""
    patches = einops.rearrange(
      batch["image"], "b (h p) (w q) c -> b h w (p q c)", p=PATCH, q=PATCH
    )
    return jnp.tanh(patches @ params["main"]["dense"]["kernel"])

  def loss(self, player, params, extra, consts, batch, draws, step):
    value = (self.tokens(params, batch) ** 2).mean()
    return value, {"double": 2 * value}

  def predict(self):
    def noise(p, e, c, b, k):
      return jax.random.normal(k, b["image"].shape)

    def attention(p, e, c, b, k):
      t = einops.rearrange(self.tokens(p, b), "b h w d -> b (h w) d")
      logits = jnp.einsum("bsd,btd->bst", t, t)
      stacked = jnp.stack([logits, 3 * logits], 1)[:, :, None]
      return jax.nn.softmax(jnp.concatenate([stacked, -stacked], 2))

    tokens = self.tokens
    return {
      "features": lambda p, e, c, b, k: tokens(p, b).mean((1, 2)),
      "cls": lambda p, e, c, b, k: tokens(p, b)[:, 0, 0],
      "tokens": lambda p, e, c, b, k: tokens(p, b),
      "layers": lambda p, e, c, b, k: {
        "first": tokens(p, b).mean((1, 2)),
        "wide": tokens(p, b).reshape(len(b["image"]), -1),
      },
      "logits": lambda p, e, c, b, k: tokens(p, b)[:, 0, 0, :3],
      "attention": attention,
      "sample": noise,
      "restore": lambda p, e, c, b, k: {"image": b["image"] * 0.9 + 0.01},
      "nll": lambda p, e, c, b, k: (b["image"] ** 2).sum((1, 2, 3)),
    }


def source(n, seed, size=4, classes=3):
  """Images whose brightest channel tells the class, through noise."""
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, classes, n)
  noise = rng.integers(0, 190, (n, size, size, CHANNELS))
  images = noise + 60 * np.eye(classes, CHANNELS)[labels][:, None, None]
  arrays = {"image": images.astype(np.uint8), "label": labels}
  return sources.ArraySource(arrays, classes)


def context(
  batch=16, n=(40, 21), devices=8, data=None, size=4, model=Everything
):
  """A context on fresh weights.

  Args:
    batch: of the pipeline.
    n: training and test examples.
    devices: simulated devices used.
    data: "train" and "eval" sources; None: `source`.
    size: image side.
    model: class of the method.
  """
  toy = model(size=size)
  mesh = sharding.make_mesh({"data": -1, "fsdp": 1}, jax.devices()[:devices])
  spec = pipeline.Spec(
    batch=batch,
    size=size,
    channels=CHANNELS,
    threads=0,
    flip=False,
    mean=(0.0,) * CHANNELS,
    std=(1.0,) * CHANNELS,
  )
  data = data or {"train": source(n[0], 0, size), "eval": source(n[1], 1, size)}
  first = toy.init(jax.random.key(0), None)
  fresh = toy.init(jax.random.key(1), None)
  made = contexts.Context(
    toy,
    mesh,
    spec=spec,
    sources=data,
    consts={},
    fresh=lambda: fresh,
    seed=0,
  )
  made.start(state(*first))
  return made


def state(params, extra, step=0):
  zero = np.zeros((), np.int32)
  step = np.asarray(step, np.int32)
  return states.State(
    step=step,
    params=params,
    opt={},
    ema={},
    extra=extra,
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )
