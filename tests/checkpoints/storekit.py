"""Small checkpoints with leaves of many kinds, for tests."""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import intact
from jmim.checkpoints import store as checkpoint
from jmim.core import tree as trees
from jmim.parallel import sharding


def layout(fsdp, devices=8):
  sizes = {"data": -1, "fsdp": fsdp}
  mesh = sharding.make_mesh(sizes, jax.devices()[:devices])
  return sharding.Layout(mesh)


def make(where):
  """A state with leaves of many dtypes, placed by a layout."""
  rng = np.random.default_rng(0)
  bits = rng.integers(0, 2**16, 64).astype(np.uint16) & 0x7F7F  # finite
  tree = {
    "params": {"kernel": rng.normal(size=(64, 128)).astype(np.float32)},
    "half": jax.lax.bitcast_convert_type(jnp.asarray(bits), jnp.bfloat16),
    "opt": ({"mu": rng.normal(size=(8, 3)).astype(np.float32)}, {}),
    "special": np.float32([-0.0, np.inf, np.nan, 1e-45]),
    "flags": np.array([True, False]),
    "step": np.int32(2**31 - 1),
  }
  return jax.tree.map(
    jax.device_put, tree, where.tree(jax.eval_shape(lambda t: t, tree))
  )


def like(state, where=None):
  """Its shapes with shardings; None: of one device."""
  where = where or layout(1, 1)
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    state,
    where.tree(state),
  )


def restore(workdir, wanted, step=7):
  made = checkpoint.Checkpoints(workdir, write=False)
  try:
    return made.restore(step, wanted)
  finally:
    made.close()


def bits(tree):
  return {n: np.asarray(x).tobytes() for n, x in trees.named(tree).items()}


def cut(path):
  """What a full disk or a broken copy leaves."""
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newest(workdir, wanted, write=True):
  """(step, state, what was said) of the newest intact checkpoint."""
  said = []
  made = checkpoint.Checkpoints(workdir, write=write)
  try:
    return *intact.restore(made, wanted, said.append)[:2], said
  finally:
    made.close()
