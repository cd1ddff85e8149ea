"""MaskGIT: schedules, and the whole decoding of a table network.

The cases say that its logits are means of rows of a table; their numbers are a
multiple of these, which is read off the logits of the first ids.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import maskgit

SKIPPED = {}
PREFIX = "schedule_"


def run(case):
  c, i = case.config, {k: jnp.asarray(v) for k, v in case.inputs.items()}
  b, length, v, calls = c["B"], c["L"], c["V"], c["num_iter"]
  assert i["init"].shape == (b, length) and i["W"].shape == (v + 1, length, v)
  at = jnp.arange(length)
  shift = (at[:, None] + at) % length

  def mean(ids):
    """Over l2, of W[token_l2, (l + l2) mod L]."""
    return i["W"][ids[:, None, :], shift].mean(2)

  wide = lambda x: np.asarray(x, np.float64)
  first, theirs = wide(mean(i["init"])), wide(case.outputs["logits0"])
  factor = round(float((first * theirs).sum() / (first * first).sum()), 6)

  def network(ids):
    return factor * mean(ids)

  def decoded(ids):
    return maskgit.decode(
      lambda n: (i["token_gumbel"][n], i["choice_gumbel"][n]),
      network,
      ids,
      mask_id=v,
      num_iter=calls,
      schedule=c["method"],
      tau=c["choice_temperature"],
    )

  made = jax.jit(decoded)(i["init"])
  np.testing.assert_array_equal(made.tokens, made.drawn[-1])
  ratio = jnp.arange(1, calls + 1) / calls
  names = [n for n in case.outputs if n.startswith(PREFIX)]
  return {
    "logits0": network(i["init"]),
    "decoded": made.drawn.swapaxes(0, 1),
    "cur_seqs": made.left,
    **{
      n: maskgit.mask_ratio(n.removeprefix(PREFIX), ratio, length)
      for n in names
    },
  }
