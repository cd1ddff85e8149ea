"""A method with every output an evaluator may ask for, and contexts on it.

`config.method.type = "evalkit"` finds it too, so that runs can be made of it.
"""

import dataclasses
import json
import pathlib
import types

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import store as checkpoint
from jmim.core import config as configs
from jmim.core import field
from jmim.core import method
from jmim.core import state as states
from jmim.data import pipeline
from jmim.data import sources
from jmim.evals.lib import context as contexts
from jmim.parallel import sharding

CHANNELS, CLASSES, DIM, PATCH = 3, 3, 6, 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Everything(method.Method):
  """One linear map of 2 x 2 patches; all outputs come from it."""

  size: int = field.value(4, "image side [pixels]", low=2)
  gain: float = field.value(1.0, "factor on the features")

  def inputs(self):
    image = (self.size, self.size, CHANNELS)
    return {
      "image": method.Input(image),
      "label": method.Input((), jnp.int32, high=CLASSES),
    }

  def init(self, key, batch):
    shape = (PATCH**2 * CHANNELS, DIM)
    kernel = 0.2 * jax.random.normal(key, shape)
    return {"main": {"dense": {"kernel": kernel}}}, {}

  def tokens(self, weights, batch, key=None):
    """[b, h, w, DIM]."""
    patches = einops.rearrange(
      batch["image"], "b (h p) (w q) c -> b h w (p q c)", p=PATCH, q=PATCH
    )
    kernel = weights.params["main"]["dense"]["kernel"]
    return self.gain * jnp.tanh(patches @ kernel)

  def loss(self, weights, batch, draws, step, player="main"):
    value = (self.tokens(weights, batch) ** 2).mean()
    return value, {"double": 2 * value, "each": value[None]}

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

  def sample(self, weights, batch, key):
    """Noise of (key, index), its mean moved by the label."""
    b = len(jax.tree.leaves(batch)[0])
    index = batch.get("index", jnp.arange(b))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    shape = self.inputs()["image"].shape
    noise = jax.vmap(lambda k: jax.random.normal(k, shape))(keys)
    label = batch.get("label", jnp.zeros(b))
    return 0.5 + 0.1 * noise + 0.2 * label[:, None, None, None]

  def reconstruct(self, weights, batch, key):
    """Half of each pixel; every second row is hidden."""
    image = batch["image"]
    row = (jnp.arange(self.size) % 2)[None, :, None, None]
    return {"image": 0.5 * image, "mask": row + 0 * image[..., :1]}

  def predict(self):
    tokens = self.tokens
    return {
      "tokens": tokens,
      "layers": self.layers,
      "attention": self.attention,
      "sample": self.sample,
      "reconstruct": self.reconstruct,
      "features": lambda w, b, k: tokens(w, b).mean((1, 2)),
      "cls": lambda w, b, k: tokens(w, b)[:, 0, 0],
      "logits": lambda w, b, k: tokens(w, b)[:, 0, 0, :CLASSES],
      "restore": lambda w, b, k: {"image": b["image"] * 0.9 + 0.01},
      "nll": lambda w, b, k: (b["image"] ** 2).sum((1, 2, 3)),
      "noise": lambda w, b, k: jax.random.normal(k, (len(b["image"]),)),
    }


def source(n, seed, size=4, classes=CLASSES):
  """Images whose brightest channel tells the class, through noise."""
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, classes, n)
  noise = rng.integers(0, 190, (n, size, size, CHANNELS))
  images = noise + 60 * np.eye(classes, CHANNELS)[labels][:, None, None]
  arrays = {"image": images.astype(np.uint8), "label": labels}
  return sources.ArraySource(arrays, classes)


def images(data):
  """All images of a source, uint8 [n, h, w, c]."""
  return np.stack([data[i]["image"] for i in range(len(data))])


def numbers(evaluator, context):
  """The scalars it yields, by key, without pictures and heads."""
  yielded = evaluator.run(context)
  return {key: v for key, v in yielded if np.isscalar(v)}


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
  made = model(size=size)
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
  first = made.init(jax.random.key(0), None)
  fresh = made.init(jax.random.key(1), None)
  over = contexts.Context(
    made,
    mesh,
    spec=spec,
    sources=data,
    consts={},
    fresh=lambda: fresh,
    seed=0,
  )
  over.start(state(*first))
  return over


def stub(outputs):
  """Stands for a context that yields these (output, entries) of batches."""
  return types.SimpleNamespace(outputs=lambda *args, **kwargs: iter(outputs))


def state(params, extra, step=0, ema=None):
  """A state that evaluators can be pointed at."""
  zero = np.zeros((), np.int32)
  return states.State(
    step=np.asarray(step, np.int32),
    params=params,
    opt={},
    ema=ema or {},
    extra=extra,
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )


def workdir(folder, kind, params, extra=None, ema=None, method=None, **data):
  """A run with one checkpoint, of a method of the test suite.

  Args:
    folder: of the run.
    kind: module of its method.
    params: player -> tree.
    extra: of the method.
    ema: like params.
    method: keys of the section `method`.
    **data: keys of the section `data`.
  """
  config = configs.base()
  config.data.update(name="folder", **data)
  config.method = configs.section(type=kind, **(method or {}))
  settings = json.loads(config.to_json())
  store = checkpoint.Checkpoints(folder)
  one = state(params, extra or {}, step=3, ema=ema)
  store.save(3, one, {"config": settings})
  store.close()
  (folder / "config.json").write_text(json.dumps(settings))
  return folder


def without(folder, *names):
  """The run as one from before these keys of the section `data`."""
  path = pathlib.Path(folder) / "config.json"
  config = json.loads(path.read_text())
  for name in names:
    del config["data"][name]
  path.write_text(json.dumps(config))
  return str(folder)
