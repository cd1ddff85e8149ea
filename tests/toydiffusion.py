"""Frozen diffusion models of a few numbers, which no method knows."""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import model
from jmim.diffusion import schedule

PROCESS = schedule.make("linear", 20, 1e-3, 0.3)


def make(size=4, channels=3, classes=3, seed=0, factor=2, times=20):
  """A diffuser of latents: pixels folded by a linear map, a random encoder.

  Its network is smooth and depends on everything: state, time and class.
  """
  rng = np.random.default_rng(seed)
  mix = rng.normal(size=(channels, channels)).astype("f4") / channels**0.5
  shift = rng.normal(size=(classes + 1, channels)).astype("f4")
  there = rng.normal(size=(3 * factor**2, channels)).astype("f4") * 0.3
  back = np.linalg.pinv(there).astype("f4")

  def network(x, t, told):
    y = jnp.tanh(x @ mix + 0.3 * jnp.roll(x, 1, 1) + 0.1 * jnp.roll(x, 1, 2))
    y = y + 0.2 * jnp.sin(t / 5.0).reshape(-1, 1, 1, 1)
    return (
      y if told is None else y + 0.3 * jnp.asarray(shift)[told][:, None, None]
    )

  def encode(images, noise=None):
    b, h, w, c = images.shape
    x = images.reshape(b, h // factor, factor, w // factor, factor, c)
    x = x.swapaxes(2, 3).reshape(b, h // factor, w // factor, -1)
    z = x @ there
    return z if noise is None else z + 0.1 * noise

  def decode(z):
    b, h, w, _ = z.shape
    x = (z @ back).reshape(b, h, w, factor, factor, 3)
    return x.swapaxes(2, 3).reshape(b, h * factor, w * factor, 3)

  def tell(batch):
    if not classes:
      return None, None
    return batch["label"], jnp.full_like(batch["label"], classes)

  label = {"label": method.Input((), jnp.int32, high=classes)}
  return model.Diffuser(
    shape=(size, size, channels),
    image=(size * factor, size * factor, 3),
    schedule=schedule.make("linear", times, 1e-3, 0.3),
    network=network,
    tell=tell,
    reads=label if classes else {},
    encode=encode,
    decode=decode,
    random=True,
  )


def pixels(size=4, channels=2, seed=0):
  """A diffuser of images that is told nothing."""
  rng = np.random.default_rng(seed)
  mix = rng.normal(size=(channels, channels)).astype("f4") / channels**0.5
  network = lambda x, t, told: (
    jnp.tanh(x @ mix) * (1 + t[:, None, None, None] / 50)
  )
  return model.Diffuser(
    shape=(size, size, channels), schedule=PROCESS, network=network
  )


def models(procedure_, seed=0):
  """A toy in the place of each model that has no stand-in, else that."""
  stand_ins = procedure_.stand_ins()
  found = {}
  for i, name in enumerate(procedure_.models()):
    key = f"procedure.{name}.path"
    if name in stand_ins:
      weights = fresh(stand_ins[name], seed + i)
      found[name] = procedure.Model(
        method=stand_ins[name], weights=weights, key=key
      )
    else:
      found[name] = procedure.Model.of(make(seed=seed + i))
  return found


def fresh(owner, seed=0):
  """Random weights of a method: no leaf is 0, and none of its state below."""
  batch = {
    name: jnp.zeros((1, *x.shape), x.dtype)
    for name, x in owner.inputs().items()
  }

  def init(key):
    params, extra = owner.init(key, batch)
    consts = {n: c.init(key) for n, c in owner.consts().items()}
    return method.Weights(params, extra, consts)

  shapes = jax.eval_shape(init, jax.random.key(0))
  rng = np.random.default_rng(seed)
  normal = lambda s: (0.2 * rng.normal(size=s.shape)).astype(s.dtype)
  made = jax.tree.map(normal, shapes)
  # State is of running statistics, whose variances are not negative.
  extra = jax.tree.map(np.abs, made.extra)
  return method.Weights(made.params, extra, made.consts)


def batch_of(inputs, n=8, seed=0):
  """Random numbers of the shapes and dtypes that `inputs` names, and index."""
  rng = np.random.default_rng(seed)
  made = {"index": np.arange(n, dtype=np.int32) + 5}
  for name, spec in inputs.items():
    shape = (n, *spec.shape)
    if jnp.issubdtype(spec.dtype, jnp.integer):
      made[name] = rng.integers(0, spec.high, shape).astype(spec.dtype)
    else:
      low, high = spec.range or (-1.0, 1.0)
      made[name] = rng.uniform(low, high, shape).astype(spec.dtype)
  return made
