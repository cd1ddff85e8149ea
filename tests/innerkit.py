"""A frozen network of two layers, whose middle can be moved."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import model
from jmim.diffusion import schedule
from jmim.methods.parts import inner_place

H = (2, 2, 5)  # of the middle
SHAPE = (4, 4, 3)
CLASSES = 3
PLACE = dict(at="module", module="mid")


class Net(nn.Module):
  """h = mid(tanh(cells of x, time, class)); out(tanh(h)) beside x."""

  @nn.compact
  def __call__(self, x, t, label):
    b = len(x)
    cells = x.reshape(b, 2, 2, 2, 2, 3).swapaxes(2, 3).reshape(b, 2, 2, -1)
    told = nn.Embed(CLASSES + 1, 8, name="told")(label)[:, None, None]
    y = nn.Dense(8, name="inp")(cells) + jnp.sin(t / 5.0)[:, None, None, None]
    h = nn.Dense(H[-1], name="mid")(jnp.tanh(y + told))
    y = nn.Dense(12, name="out")(jnp.tanh(h)).reshape(b, 2, 2, 2, 2, 3)
    return 0.3 * x + y.swapaxes(2, 3).reshape(x.shape)


def source(seed=0, steps=40):
  """A diffuser of images told one of three classes or nothing."""
  net = Net()
  x, t, label = jnp.zeros((1, *SHAPE)), jnp.zeros(1), jnp.zeros(1, jnp.int32)
  shapes = jax.eval_shape(net.init, jax.random.key(0), x, t, label)
  rng = np.random.default_rng(seed)
  params = jax.tree.map(
    lambda s: jnp.float32(0.4 * rng.normal(size=s.shape)), shapes
  )
  nothing = lambda batch: jnp.full_like(batch["label"], CLASSES)
  return model.Diffuser(
    shape=SHAPE,
    schedule=schedule.make("linear", steps, 0.04 / steps, 8 / steps),
    network=lambda x, t, told: net.apply(params, x, t, told),
    tell=lambda batch: (batch["label"], nothing(batch)),
    reads={"label": method.Input((), jnp.int32, high=CLASSES)},
  )


SOURCE = source()
MODELS = {"source": procedure.Model.of(SOURCE)}
INSIDE = inner_place.Place(**PLACE).inside(SOURCE.network)


def normal(*shape, seed=0):
  """Standard normal float32."""
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=shape), jnp.float32)
