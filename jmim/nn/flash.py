"""Flash attention on TPUs: the Pallas kernels of JAX, on any token count.

The kernels work on tiles of 128 tokens, so tokens are padded to a multiple
of that, with keys that nothing attends to. They never hold the logits of a head
in main memory, and are meant for long sequences: a masked encoder's 50 tokens
fill less than a tile.
"""

import jax
import jax.numpy as jnp

from jmim.core import runtime

P = jax.sharding.PartitionSpec
TILE = 128


def _pad(x: jax.Array, *dims: int) -> jax.Array:
  """`x` with these dimensions padded with zeros to a multiple of TILE."""
  missing = [-n % TILE if d in dims else 0 for d, n in enumerate(x.shape)]
  return jnp.pad(x, [(0, n) for n in missing])


def _local(q, k, v, bias=None, mask=None) -> jax.Array:
  """As `attend`, on one device."""
  # Half a second of import that only its users need to wait.
  import jax.experimental.pallas.ops.tpu.flash_attention as kernels

  b, h, t, d = q.shape
  s = k.shape[2]
  seen = jnp.ones((b, s), jnp.int32) if mask is None else mask.astype(jnp.int32)
  # softmax(s q k^T + bias): not by the kernels' factor s, which they apply to
  # the bias as well.
  q, k, v = (_pad(a, 2) for a in (q * d**-0.5, k, v))
  if bias is not None:
    bias = _pad(jnp.broadcast_to(bias, (b, h, t, s)).astype(q.dtype), 2, 3)
  # A query sees the keys of its segment: 1 of all queries and visible keys, 0
  # of hidden and padded ones. Padded queries are cut off.
  segments = kernels.SegmentIds(
    jnp.ones((b, q.shape[2]), jnp.int32), _pad(seen, 1)
  )
  y = kernels.flash_attention(q, k, v, bias, segments)
  return y[:, :, :t]


def attend(
  rt: runtime.Runtime,
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  bias: jax.Array | None = None,
  mask: jax.Array | None = None,
) -> jax.Array:
  """softmax(q k^T / sqrt(d) + bias) v; see `attention.attend`.

  The compiler cannot partition a kernel, so each device of the mesh runs it on
  its part of the batch and of the heads.

  Args:
    rt: execution choices; its mesh splits batch and heads.
    q: [b, h, t, d].
    k: [b, h, s, d].
    v: [b, h, s, d].
    bias: broadcasts to [b, h, t, s].
    mask: [b, s] bool, True = the key may be seen.

  Returns:
    [b, h, t, d] in the dtype of v.
  """
  if rt.mesh is None:
    return _local(q, k, v=v, bias=bias, mask=mask)
  b, h = q.shape[:2]
  batch = rt.batch_axes if b % rt.ways(*rt.batch_axes) == 0 else None
  heads = "tensor" if h % (n := rt.ways("tensor")) == 0 and n > 1 else None
  tokens = P(batch, heads)
  inputs = {"q": q, "k": k, "v": v}
  specs = dict.fromkeys(inputs, tokens)
  if mask is not None:
    inputs["mask"] = mask
    specs["mask"] = P(batch)
  if bias is not None:
    inputs["bias"] = bias = bias.reshape((1,) * (4 - bias.ndim) + bias.shape)
    sides = zip((batch, heads), bias.shape, strict=False)
    specs["bias"] = P(*(axis if n > 1 else None for axis, n in sides))
  return jax.shard_map(
    lambda inputs: _local(**inputs),
    mesh=rt.mesh,
    in_specs=(specs,),
    out_specs=tokens,
    check_vma=False,
  )(inputs)
