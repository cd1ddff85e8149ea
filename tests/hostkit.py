"""A toy that is laid over a frozen host, and hosts for it.

`config.method.type = "hostkit"` finds `Hosted`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import tinyrun

from jmim.checkpoints import frozen
from jmim.core import config as configs
from jmim.core import field
from jmim.core import method
from jmim.methods.parts import host as hosts
from jmim.modes import train


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hosted(method.Method):
  """The host is one linear map of pixels; its bias is tuned."""

  size: int = field.value(8, "image side [pixels]", low=1)
  width: int = field.value(3, "outputs", low=1)
  host: hosts.Host = field.part(hosts.Host, "trained linear map")

  def inputs(self):
    return {"image": method.Input((self.size, self.size, 1))}

  def init_host(self, key):
    kernel = jax.random.normal(key, (self.size**2, self.width))
    return {"dense": {"kernel": kernel, "bias": jnp.zeros(self.width)}}

  def consts(self):
    return {"host": self.host.const(self.init_host)}

  def init(self, key, batch):
    tuned = lambda name: name.endswith("bias")
    return {"main": {"added": hosts.zeros(self.init_host, tuned)}}, {}

  def features(self, weights, batch, key=None):
    p = hosts.laid(weights.consts["host"], weights.params["main"])["dense"]
    x = batch["image"].reshape(len(batch["image"]), -1)
    return x @ p["kernel"] + p["bias"]

  def loss(self, weights, batch, draws, step, player="main"):
    return ((self.features(weights, batch) - 1) ** 2).mean(), {}

  def predict(self):
    return {"features": self.features}


def save_host(path, seed, width=3):
  """An .npz of a host; its path and the tree."""
  made = Hosted(width=width).init_host(jax.random.key(seed))
  frozen.save(path, made)
  return str(path), jax.tree.map(np.asarray, made)


def recipe(data_dir, host, **train_section):
  """Of a run of two steps."""
  config = tinyrun.recipe(data_dir)
  config.method = configs.section(type="hostkit", host=dict(path=host))
  config.evals = configs.section()
  config.train.update(total_steps=2, log_steps=1, checkpoint_steps=1)
  config.train.update(train_section)
  return config


def run(folder, host):
  """(workdir, recipe) of a finished run on a host."""
  config = recipe(str(folder / "data"), host)
  train.run(config, folder / "run")
  return folder / "run", config
