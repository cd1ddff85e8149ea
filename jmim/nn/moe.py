"""Sparse mixtures of SwiGLU experts: routing, dispatch, expert parallelism.

Token choice (DeepSeekMoE, as in DiT-MoE): with s = softmax(x W) over E experts
and the k largest of s,

    y = sum_{e in top k} s_e SwiGLU_e(x)  [+ SwiGLU_shared(x)]

Which experts and weights: `nn.routing`. Without a capacity no token is ever
dropped, however they are routed; how that is computed is `Runtime.experts`:

    dense   every expert on every token, all but k weights 0: E/k times the work
    ragged  tokens sorted by expert, one `jax.lax.ragged_dot` per matrix

Over an `expert` axis of the mesh each device holds E/n experts, and tokens
travel to them and back (`nn.exchange`). With a capacity c each expert takes the
first ceil(c t k / E) of the t tokens of an example, first choices first, and
leaves out the rest: a group is an example, so the result does not depend on the
mesh.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import exchange
from jmim.nn import mlp
from jmim.nn import routing as routings

P = jax.sharding.PartitionSpec
IMPLEMENTATIONS = ("dense", "ragged")
AXIS = "expert"
Weights = exchange.Weights


def dense(x: jax.Array, routing: routings.Routing, w: Weights) -> jax.Array:
  """All experts on all tokens x [b, t, d]; exact."""
  experts = w["gate"].shape[0]
  mix = jax.nn.one_hot(routing.chosen, experts, dtype=x.dtype)
  mix = jnp.einsum("btke,btk->bte", mix, routing.weights.astype(x.dtype))
  h = jax.nn.silu(jnp.einsum("btd,edh->bteh", x, w["gate"]))
  h = h * jnp.einsum("btd,edh->bteh", x, w["up"])
  return jnp.einsum("bteh,ehd->btd", h * mix[..., None], w["down"])


def grouped(rows: jax.Array, ids: jax.Array, w: Weights) -> jax.Array:
  """SwiGLU of expert ids[i] on row i of [m, d]."""
  order = jnp.argsort(ids)
  sizes = jnp.bincount(ids, length=len(w["gate"])).astype(jnp.int32)
  dot = functools.partial(jax.lax.ragged_dot, group_sizes=sizes)
  x = rows[order]
  h = jax.nn.silu(dot(x, w["gate"])) * dot(x, w["up"])
  return dot(h, w["down"])[jnp.argsort(order)]


def combine(y: jax.Array, weights: jax.Array) -> jax.Array:
  """sum_k weights y: [(m k), d] and [m, k] -> [m, d]."""
  m, k = weights.shape
  return jnp.einsum("mkd,mk->md", y.reshape(m, k, -1), weights.astype(y.dtype))


def ragged(
  x: jax.Array, routing: routings.Routing, w: Weights, rt: runtime.Runtime
) -> jax.Array:
  """Sorted dispatch of x [b, t, d], on the devices where the tokens are."""
  shards = rt.ways(AXIS)

  def local(x, chosen, weights, w):
    (b, t, d), k = x.shape, chosen.shape[-1]
    x, ids = x.reshape(b * t, d), chosen.reshape(-1)
    if sharded and shards > 1:
      experts = shards * w["gate"].shape[0]
      travel = exchange.Exchange(
        axis=AXIS, axes=axes, shards=shards, experts=experts, k=k
      )
      y = travel(x, ids, w)
    else:
      y = grouped(jnp.repeat(x, k, axis=0), ids, w)
    return combine(y, weights.reshape(b * t, k)).reshape(b, t, d)

  axes = rt.batch_axes + (AXIS,) * (shards > 1 and AXIS not in rt.batch_axes)
  sharded = rt.mesh is not None and len(x) % rt.ways(*axes) == 0
  if not sharded:
    return local(x, routing.chosen, routing.weights, w)
  split, held = P(axes), P(AXIS if shards > 1 else None)
  return jax.shard_map(
    local,
    mesh=rt.mesh,
    in_specs=(split, split, split, held),
    out_specs=split,
    check_vma=False,
  )(x, routing.chosen, routing.weights, w)


def queue(chosen: jax.Array, experts: int) -> jax.Array:
  """[b, t, k] number of assignments of an example before this one, by expert.

  First choices of all tokens come before all second ones.
  """
  b, t, k = chosen.shape
  flat = jnp.swapaxes(chosen, 1, 2).reshape(b, k * t)
  rank = routings.ranks(flat, experts)
  return jnp.swapaxes(rank.reshape(b, k, t), 1, 2)


def limited(
  x: jax.Array,
  routing: routings.Routing,
  w: Weights,
  capacity: float,
  rt: runtime.Runtime,
) -> tuple[jax.Array, jax.Array]:
  """Dispatch with a capacity: (y [b, t, d], share of assignments dropped)."""
  experts, (_, t, d) = w["gate"].shape[0], x.shape
  k = routing.chosen.shape[-1]
  size = math.ceil(capacity * t * k / experts)  # slots of an expert
  rank = queue(routing.chosen, experts)

  def fill(x, chosen, rank):
    rows = jnp.repeat(x, k, axis=0)
    slots = jnp.zeros((experts, size, d), x.dtype)
    return slots.at[chosen.ravel(), rank.ravel()].set(rows, mode="drop")

  def read(y, chosen, rank):
    return y.at[chosen, rank].get(mode="fill", fill_value=0)

  shards = rt.ways(AXIS)
  rest = tuple(n for n in rt.batch_axes if n != AXIS)

  def held(a):  # by the devices of the experts: GShard's exchange
    return rt.constrain(a, rest, AXIS) if shards > 1 else rt.shard(a)

  slots = held(jax.vmap(fill)(x, routing.chosen, rank))
  y = rt.shard(held(exchange.experts_of(slots, w)))
  y = jax.vmap(read)(y, routing.chosen, rank)
  y = jnp.einsum("btkd,btk->btd", y, routing.weights.astype(y.dtype))
  return y, (rank >= size).mean()


class Kernel(nn.Module):
  """One matrix per expert: [e, in, out], Xavier-uniform each.

  Attributes:
    shape: of all.
    init_fn: of all.
  """

  shape: tuple[int, int, int]
  init_fn: nn.initializers.Initializer = nn.initializers.xavier_uniform(
    batch_axis=0
  )

  @nn.compact
  def __call__(self) -> jax.Array:
    """The matrices, float32."""
    return self.param("kernel", self.init_fn, self.shape)


class Experts(nn.Module):
  """The matrices of all experts.

  Attributes:
    experts: their number.
    hidden: width of the hidden layer of each.
    rt: execution choices.
  """

  experts: int
  hidden: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, width: int) -> Weights:
    """gate and up [e, width, hidden], down [e, hidden, width]."""
    wide = (self.experts, width, self.hidden)
    shapes = {"gate": wide, "up": wide, "down": (wide[0], wide[2], wide[1])}
    cast = lambda w: w.astype(self.rt.dtype)
    return {n: cast(Kernel(s, name=n)()) for n, s in shapes.items()}


class MoE(nn.Module, kw_only=True):
  """Routed experts and a shared one, in place of an MLP.

  Attributes:
    experts: E, routed experts.
    chosen: k, of them per token.
    hidden: hidden width of a routed expert.
    shared: hidden width of the expert of all tokens; 0: there is none.
    capacity: see the module; 0: nothing is dropped.
    normalise: see `routing.route`.
    balance_examples: the balance loss is that of each example, averaged.
    rt: execution choices.
  """

  experts: int
  chosen: int
  hidden: int
  shared: int = 0
  capacity: float = 0.0
  normalise: bool = False
  balance_examples: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    taps: tuple[str, ...] = (),
    valid: jax.Array | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, d] -> [b, t, d] and the taps asked for.

    Args:
      x: tokens.
      taps: any of moe_in, moe_out [b, t, d]; chosen, weights [b, t, k];
        load [e]; balance, entropy, dropped [].
      valid: [b, t] bool, tokens of balance and entropy; None: all.
    """
    init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    router = nn.Dense(self.experts, False, kernel_init=init, name="router")
    logits = router(x.astype(jnp.float32))
    routing = routings.route(logits, self.chosen, self.normalise)
    w = Experts(self.experts, self.hidden, self.rt, name="experts")(x.shape[-1])
    y, dropped = self._routed(x, routing, w)
    if self.shared:
      y = y + mlp.SwiGLU(hidden=self.shared, rt=self.rt, name="shared")(x)
    tapped = {
      "moe_in": lambda: x,
      "moe_out": lambda: y,
      "chosen": lambda: routing.chosen,
      "weights": lambda: routing.weights,
      "load": lambda: routings.load(routing.chosen, self.experts),
      "balance": lambda: routings.balance(
        routing, self.balance_examples, valid
      ),
      "entropy": lambda: routings.entropy(routing.scores, valid),
      "dropped": lambda: dropped,
    }
    return y, {t: tapped[t]() for t in taps}

  def _routed(self, x, routing, w):
    """The routed part, and the share of assignments dropped."""
    if self.capacity:
      return limited(x, routing, w=w, capacity=self.capacity, rt=self.rt)
    if self.rt.experts == "dense":
      return dense(x, routing, w), jnp.float32(0)
    return ragged(x, routing, w, self.rt), jnp.float32(0)
