"""LPIPS with weights that the user supplies, for evaluators of images."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import frozen as const_files
from jmim.metrics import restoration

# Images [n, h, w, 3] in 0 .. 1, twice -> [n].
Distance = Callable[[np.ndarray, np.ndarray], jax.Array]
NETWORKS = tuple(restoration.NETWORKS)


def load(
  path: str, sha256: str, network: str = "alex"
) -> tuple[Distance | None, dict[str, str]]:
  """(the distance, or None without weights; what a protocol says of it).

  Args:
    path: .npz of the network and of LPIPS, see `nn.frozen.lpips`; "": none.
    sha256: hash that it must have; "": any.
    network: one of NETWORKS.

  Raises:
    UserError: no such file, or another hash.
  """
  if not path:
    return None, {}
  arrays, digest = const_files.read(
    "LPIPS",
    path,
    sha256=sha256,
    key="evals.<name>.lpips",
    expected="an .npz with the weights of LPIPS",
  )
  arrays = jax.tree.map(jnp.asarray, arrays)
  fn = jax.jit(restoration.lpips, static_argnames="network")
  put = lambda x: jnp.asarray(x, jnp.float32)
  return (
    lambda a, b: fn(arrays, put(a), put(b), network=network),
    {"lpips_weights": f"sha256:{digest}"},
  )
