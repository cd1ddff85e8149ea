"""What the adapters of several slugs need, and their tests."""

import importlib.util
import pathlib
import re

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.nn import sizes


def images(array):
  """[b, c, h, w] -> [b, h, w, c]."""
  return jnp.asarray(einops.rearrange(array, "b c h w -> b h w c"))


def dims(config):
  """Of an encoder, as the config of MAE's code and of its like calls them."""
  return sizes.Dims(
    variant=f"Ti/{config['patch_size']}",
    width=config["embed_dim"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=float(config.get("mlp_ratio", 4)),
  )


def blocks(config, name="decoder"):
  """The same of a decoder, or of another part of this name."""
  return sizes.Blocks(
    width=config[f"{name}_embed_dim"],
    depth=config[f"{name}_depth"],
    heads=config[f"{name}_num_heads"],
  )


def below(params, prefix):
  """Those whose names begin with a prefix, without it."""
  return {
    k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)
  }


def import_tree(rules, theirs, like):
  """`table.import_tree` as a tree like `like`, where a stack may be empty.

  A stack of no layers has no array in a file that a rule could find.
  """
  empty = {n: x for n, x in trees.named(like).items() if 0 in x.shape}
  ours = lambda r: {r.ours} if isinstance(r.ours, str) else set(r.ours)
  found = table.import_tree(
    [r for r in rules if not ours(r) & set(empty)], theirs
  )
  zeros = {n: jnp.zeros(x.shape, x.dtype) for n, x in empty.items()}
  return trees.nested(trees.named(found) | zeros)


LABELS = "y_embedder.embedding_table.weight"


def with_none(params, classes):
  """DiT's arrays; of labels never dropped a table lacks the row of none.

  It is not read then, so zeros will do.
  """
  lacking = classes + 1 - len(params[LABELS])
  return params | {LABELS: np.pad(params[LABELS], ((0, lacking), (0, 0)))}


def import_main(method, rules, theirs, batch):
  """The parameters of the player "main", as `method.init` makes them."""
  like, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
  return {"main": import_tree(rules, theirs, like["main"])}


def loss_and_grads(method, weights, batch, draws):
  """((loss, aux), gradient of the parameters of "main")."""

  def loss(params):
    moved = methods.Weights(params, weights.extra, weights.consts)
    return method.loss(moved, batch, draws, 0)

  (loss, aux), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(
    weights.params
  )
  return (loss, aux), grads["main"]


def named_grads(case, rules, grads):
  """The outputs "grad/<their name>" of a case."""
  theirs = table.export_tree(rules, grads, constants=False)
  names = [name for name in case.outputs if name.startswith("grad/")]
  return {name: theirs[name.removeprefix("grad/")] for name in names}


def asked(case, outputs):
  """Those that the case has."""
  return {name: x for name, x in outputs.items() if name in case.outputs}


# Words of what a case says of its betas -> our schedule; linear without any.
SCHEDULES = {
  "scaled": "scaled_linear",
  "sqrt": "scaled_linear",
  "cos": "cosine",
}


def schedule_of(said):
  """(name, first beta, last one) of "linear 1e-4..0.02" and its like.

  "scaled linear: linspace(sqrt(0.00085), sqrt(0.012), T)**2", "linear 1e-4 to
  2e-2"; of a cosine the numbers are others, and it has no ends.
  """
  name = next((ours for n, ours in SCHEDULES.items() if n in said), "linear")
  found = re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?", said)
  if name == "cosine":
    return name, 1e-4, 0.02
  first, last = map(float, found[:2])
  return name, first, last


def spread(times):
  """beta_start and beta_end of as much noise in all as DDPM's 1000 times."""
  return dict(beta_start=0.1 / times, beta_end=20 / times)


# For tests of adapters.


def adapter(slug):
  """The module beside this one."""
  path = pathlib.Path(__file__).parent / f"{slug}.py"
  spec = importlib.util.spec_from_file_location(f"golden_{slug}", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def normal(*shape, seed=0):
  """Standard normal float32 array."""
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def weights(shapes, seed=1, scale=0.2):
  """A tree of these shapes, every leaf normal."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda s: (scale * rng.normal(size=s.shape)).astype(np.float32), shapes
  )


class Everything:
  """Whatever is asked for is in it."""

  def __contains__(self, name):
    return True


class Asked:
  """What an adapter reads of a golden case; every output is asked for."""

  def __init__(self, config, inputs, params=None):
    self.config, self.inputs, self.params = config, inputs, params
    self.outputs = Everything()
