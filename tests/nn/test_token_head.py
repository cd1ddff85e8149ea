import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import token_head

NET = token_head.TokenHead(width=8, depth=2, out=6)


def arrays(normal):
  return normal(5, 4), normal(5, 3, seed=1), np.arange(5.0)


def test_it_starts_at_nothing(normal):
  z, x, t = arrays(normal)
  variables = jax.jit(NET.init)(jax.random.key(0), z, x, t)
  np.testing.assert_array_equal(NET.apply(variables, z, x, t), np.zeros((5, 6)))


def test_tokens_are_independent_and_see_time_and_condition(normal, fill):
  z, x, t = arrays(normal)
  variables = fill(NET, z, x, t)
  whole = np.asarray(NET.apply(variables, z, x, t))
  one = NET.apply(variables, z[2:3], x[2:3], t[2:3])
  np.testing.assert_allclose(one[0], whole[2], atol=1e-5)
  for changed in ((z + 1, x, t), (z, x + 1, t), (z, x, t + 1)):
    assert np.abs(NET.apply(variables, *changed) - whole).max() > 1e-2


def test_a_regression_reads_conditions_only(normal, fill):
  z, _, _ = arrays(normal)
  variables = fill(NET, z)
  assert not {"embed", "time_embed"} & set(variables["params"])
  assert NET.apply(variables, z).shape == (5, 6)


def test_chips_exchange_kernels_and_no_rows():
  """Where kernels are split, as of MAR's head of 1024 rows an image."""
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("fsdp",))
  put = lambda *axes: jax.sharding.NamedSharding(
    mesh, jax.sharding.PartitionSpec(*axes)
  )
  rt = runtime.Runtime(mesh=mesh, batch_axes=("fsdp",))
  net = dataclasses.replace(NET, rt=rt)
  m = 4096
  rows = (jnp.zeros((m, 4)), jnp.zeros((m, 4)), jnp.zeros(m))
  params = jax.eval_shape(net.init, jax.random.key(0), *rows)
  wide = lambda p: p.ndim > 1 and p.shape[-1] % 4 == 0
  where = lambda p: put(*[None] * (p.ndim - 1), "fsdp") if wide(p) else put()
  split = jax.tree.map(where, params)
  loss = lambda p, *rows: (net.apply(p, *rows) ** 2).sum()
  step = jax.jit(
    jax.grad(loss),
    in_shardings=(split, put("fsdp"), put("fsdp"), put("fsdp")),
    out_shardings=split,
  )
  text = step.lower(params, *rows).compile().as_text()
  moved = re.findall(r"= (\w+\[[\d,]*\])\S* (?:all-gather|all-to-all)\(", text)
  assert moved
  assert not [shape for shape in moved if str(m) in shape or "1024" in shape]
