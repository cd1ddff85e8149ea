"""Toy methods: the whole contract, small enough to check by hand.

`config.method.type = "toys"` finds the last class, `Adversarial`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.core.settings import optim as settings
from jmim.parallel import sharding
from jmim.training import optim
from jmim.training import step as steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toy(method.Method):
  """Reads flattened images."""

  size: int = field.value(2, "image side in pixels", low=1)
  channels: int = field.value(1, "image channels", low=1)

  @property
  def dims(self):
    return self.size**2 * self.channels

  def inputs(self):
    return {"image": method.Input((self.size, self.size, self.channels))}

  def flat(self, batch):
    """[b, h, w, c] -> [b, h*w*c]."""
    return batch["image"].reshape(len(batch["image"]), -1)


def dense(key, n_in, n_out):
  """kernel [n_in, n_out] and bias [n_out]."""
  kernel = jax.random.normal(key, (n_in, n_out)) / n_in**0.5
  return {"kernel": kernel, "bias": jnp.zeros(n_out)}


def linear(p, x):
  return x @ p["kernel"] + p["bias"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Momentum(Toy):
  """One player that follows a slow copy of itself, seen through noise."""

  width: int = field.value(3, "outputs", low=1)
  momentum: float = field.value(0.5, "of the target", low=0, high=1)

  def init(self, key, batch):
    p = dense(key, self.dims, self.width)
    extra = {"target": p["kernel"] + 0.5, "count": jnp.int32(0)}
    return {"main": {"dense": p}}, extra

  def draw(self, keys, batch, step):
    shape = (len(batch["image"]), self.width)
    return {"noise": jax.random.normal(keys("noise"), shape)}

  def loss(self, weights, batch, draws, step, player="main"):
    x = self.flat(batch)
    y = linear(weights.params["main"]["dense"], x)
    target = x @ weights.extra["target"] + 0.1 * draws["noise"]
    aux = {"noise": draws["noise"].mean(), "noises": draws["noise"]}
    return jnp.mean((y - target) ** 2), aux

  def after(self, weights, aux, step, player="main"):
    new, m = weights.params["main"]["dense"]["kernel"], self.momentum
    extra = weights.extra
    return {
      "target": m * extra["target"] + (1 - m) * new,
      "count": extra["count"] + 1,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP(Toy):
  """Denoises its input with stacked residual layers."""

  width: int = field.value(32, "hidden width", low=1)
  depth: int = field.value(3, "layers", low=1)

  def init(self, key, batch):
    k_in, k_blocks, k_out = jax.random.split(key, 3)
    keys = jax.random.split(k_blocks, self.depth)
    layers = jax.vmap(lambda k: dense(k, self.width, self.width))(keys)
    main = {
      "embed": dense(k_in, self.dims, self.width),
      "blocks": {"layers": layers},
      "head": dense(k_out, self.width, self.dims),
    }
    return {"main": main}, {}

  def draw(self, keys, batch, step):
    return {"noise": jax.random.normal(keys("noise"), batch["image"].shape)}

  def loss(self, weights, batch, draws, step, player="main"):
    main, clean = weights.params["main"], self.flat(batch)
    noise = draws["noise"].reshape(clean.shape)
    x = self.rt.shard(linear(main["embed"], clean + noise))
    for i in range(self.depth):
      layer = jax.tree.map(lambda p: p[i], main["blocks"]["layers"])  # noqa: B023
      x = self.rt.shard(x + jax.nn.gelu(linear(layer, x)))
    return jnp.mean((linear(main["head"], x) - clean) ** 2), {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Toy):
  """A linear generator against a linear discriminator, smooth losses."""

  players = ("generator", "discriminator")
  latent: int = field.value(3, "width of the latent", low=1)

  def init(self, key, batch):
    k_g, k_d = jax.random.split(key)
    params = {
      "generator": {"dense": dense(k_g, self.latent, self.dims)},
      "discriminator": {"dense": dense(k_d, self.dims, 1)},
    }
    return params, {"plays": jnp.zeros(2, jnp.int32)}

  def draw(self, keys, batch, step):
    shape = (len(batch["image"]), self.latent)
    return {"z": jax.random.normal(keys("z"), shape)}

  def loss(self, weights, batch, draws, step, player="generator"):
    params = weights.params
    fake = linear(params["generator"]["dense"], draws["z"])
    judge = lambda x: linear(params["discriminator"]["dense"], x)
    if player == "generator":
      return jax.nn.softplus(-judge(fake)).mean(), {"fake": fake.mean()}
    real = jax.nn.softplus(-judge(self.flat(batch)))
    return (jax.nn.softplus(judge(fake)) + real).mean(), {}

  def after(self, weights, aux, step, player="generator"):
    i = self.players.index(player)
    return {"plays": weights.extra["plays"].at[i].add(1)}

  def predict(self):
    return {"features": lambda weights, batch, key: self.flat(batch)}


def make_optimizers(toy, batch, own=None, lr=0.1):
  """One optimizer per player; `own`: player -> settings of its own."""
  shapes = jax.eval_shape(toy.init, jax.random.key(0), batch)[0]
  return {
    p: optim.make(
      settings.Optim(**(own or {}).get(p, {"name": "sgd"})),
      {p: shapes[p]},
      toy.groups(),
      lambda step: jnp.float32(lr),
    )
    for p in toy.players
  }


def make_step(toy, batch, own=None, lr=0.1, **kwargs):
  """A Step without augmentation and with a constant learning rate."""
  optimizers = make_optimizers(toy, batch, own, lr)
  return steps.Step(toy, optimizers, lambda key, b: b, **kwargs)


def on_mesh(toy, devices, fsdp=1):
  """(toy with a runtime, layout without a least size) on some devices."""
  sizes = {"data": -1, "fsdp": fsdp}
  mesh = sharding.make_mesh(sizes, jax.devices()[:devices])
  rt = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES)
  return dataclasses.replace(toy, rt=rt), sharding.Layout(mesh)


def make_batch(toy, n=8, seed=0):
  """Normal images."""
  shape = (n, toy.size, toy.size, toy.channels)
  return {"image": jax.random.normal(jax.random.key(seed), shape)}
