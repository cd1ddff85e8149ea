"""A method with every output an evaluator may ask for, and contexts on it."""

import dataclasses

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method
from jmim.core import state as states
from jmim.data import augment
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

  def tokens(self, weights, batch, key=None):
    """[b, h, w, DIM]."""
    patches = einops.rearrange(
      batch["image"], "b (h p) (w q) c -> b h w (p q c)", p=PATCH, q=PATCH
    )
    return jnp.tanh(patches @ weights.params["main"]["dense"]["kernel"])

  def loss(self, weights, batch, draws, step, player="main"):
    value = (self.tokens(weights, batch) ** 2).mean()
    return value, {"double": 2 * value}

  def attention(self, weights, batch, key):
    """[b, 2 layers, 2 heads, t, t]."""
    t = einops.rearrange(self.tokens(weights, batch), "b h w d -> b (h w) d")
    logits = jnp.einsum("bsd,btd->bst", t, t)
    stacked = jnp.stack([logits, 3 * logits], 1)[:, :, None]
    return jax.nn.softmax(jnp.concatenate([stacked, -stacked], 2))

  def layers(self, weights, batch, key):
    tokens = self.tokens(weights, batch)
    return {
      "first": tokens.mean((1, 2)),
      "wide": tokens.reshape(len(tokens), -1),
    }

  def predict(self):
    tokens = self.tokens
    return {
      "tokens": tokens,
      "layers": self.layers,
      "attention": self.attention,
      "features": lambda w, b, k: tokens(w, b).mean((1, 2)),
      "cls": lambda w, b, k: tokens(w, b)[:, 0, 0],
      "logits": lambda w, b, k: tokens(w, b)[:, 0, 0, :3],
      "sample": lambda w, b, k: jax.random.normal(k, b["image"].shape),
      "restore": lambda w, b, k: {"image": b["image"] * 0.9 + 0.01},
      "reconstruct": lambda w, b, k: {
        "image": b["image"] * 0.5,
        "mask": (jnp.arange(b["image"].shape[1]) % 2)[None, :, None, None]
        * jnp.ones_like(b["image"][..., :1]),
      },
      "nll": lambda w, b, k: (b["image"] ** 2).sum((1, 2, 3)),
      "errors": lambda w, b, k: {
        "key": jax.random.normal(k, (len(b["image"]),))
      },
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
  spec = pipeline.Spec(batch=batch, size=size, channels=CHANNELS, threads=0)
  data = data or {"train": source(n[0], 0, size), "eval": source(n[1], 1, size)}
  first = toy.init(jax.random.key(0), None)
  fresh = toy.init(jax.random.key(1), None)
  made = contexts.Context(
    toy,
    mesh,
    spec=spec,
    augment_spec=augment.Spec(flip=False),
    sources=data,
    consts={},
    fresh=lambda: fresh,
    seed=0,
  )
  made.start(state(*first))
  return made


def weights(params):
  """Of `Everything`, from its parameters."""
  return method.Weights(params)


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
