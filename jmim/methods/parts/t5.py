"""T5 as a part: its size, where frozen weights are, and what it is asked.

Defaults are those of v1.1 base, a public configuration. The network is `nn.t5`.
Letters: b batch, s places that are read, t that are said, w width.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.core import tree as trees
from jmim.diffusion import autoregressive
from jmim.masks import spans
from jmim.methods.parts import host as hosts
from jmim.nn import losses
from jmim.nn import t5
from jmim.nn.nets import t5 as nets

# Leaves of each side, and what both need.
SIDES = {
  "encoder": ("embed/", "encoder/"),
  "decoder": ("embed/", "decoder/", "head/"),
  "norm": ("encoder/norm/",),  # the scale of what an encoder gives
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5:
  """Sizes of the network."""

  words: int = field.value(32_128, "different tokens", low=2)
  width: int = field.value(768, "width", low=1)
  depth: int = field.value(12, "blocks of the encoder", low=1)
  decoder_depth: int = field.value(
    0, "blocks of the decoder; 0: as many as the encoder has", low=0
  )
  heads: int = field.value(12, "attention heads", low=1)
  head_width: int = field.value(64, "width of a head", low=1)
  hidden: int = field.value(2048, "hidden width of the MLPs", low=1)
  buckets: int = field.value(32, "different relative places", low=4)
  distance: int = field.value(
    128, "places from which on all are one [tokens]", low=2
  )
  act: str = field.value(
    "gelu", "MLPs: gelu, gated, of v1.1; relu, of v1.0", choices=t5.ACTS
  )
  tied: bool = field.value(
    False, "tokens are scored by their embeddings (v1.0)"
  )
  piece: int = field.value(
    16, "places whose scores of all tokens are in memory at once", low=1
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def net(self) -> nets.T5:
    """The network."""
    names = [f.name for f in dataclasses.fields(t5.Size) if f.name != "eps"]
    own = {n: getattr(self, n) for n in names}
    own["decoder_depth"] = self.decoder_depth or self.depth
    return nets.T5(size=t5.Size(**own), rt=self.rt)

  def check(self, key: str = "t5") -> None:
    """Raises ValueError for sizes that do not go together; key: of the part."""
    if self.buckets % 4 or self.distance <= self.buckets // 2:
      raise ValueError(
        f"{key}.buckets {self.buckets} and {key}.distance {self.distance}: "
        "give a multiple of 4, and a distance above its half"
      )

  def check_words(self, key: str = "t5", **numbers: int) -> None:
    """Raises ValueError for special tokens that are none of `words`."""
    for name, number in numbers.items():
      if number >= self.words:
        raise ValueError(f"{name} {number} of {key}.words {self.words}")

  def init(self, key: jax.Array) -> method.Tree:
    """Fresh parameters of both sides."""
    ids = jnp.zeros((1, 1), jnp.int32)
    return self.net.init(key, ids, ids)["params"]

  def side(self, key: jax.Array, *sides: str) -> method.Tree:
    """Fresh parameters of some sides, see SIDES."""
    wanted = tuple(p for side in sides for p in SIDES[side])
    leaves = trees.named(self.init(key))
    return trees.nested(
      {n: x for n, x in leaves.items() if n.startswith(wanted)}
    )

  def const(
    self,
    host: hosts.Host,
    *sides: str,
    key: str = "method.host",
    part: str = "method.t5",
  ) -> method.Const:
    """Where frozen parameters of some sides come from.

    Args:
      host: says where.
      *sides: see SIDES.
      key: of the host in the config.
      part: key of this part.
    """
    names = ("head_width", "buckets", "distance", "act", "tied")
    own = {f"network.{n}": (f"{part}.{n}", vars(self)[n]) for n in names}
    made = host.const(lambda k: self.side(k, *sides), own, key)
    return dataclasses.replace(made, images=False)

  def ask(
    self, tree: method.Tree, name: str, *args: Any, **more: Any
  ) -> jax.Array:
    """A method of the network on parameters; name: "encode", "decode" ..."""
    return self.net.apply({"params": tree}, *args, method=name, **more)

  def nats(
    self,
    tree: method.Tree,
    memory: jax.Array,
    labels: jax.Array,
    *,
    present: jax.Array,
    memory_present: jax.Array,
    start: int = 0,
  ) -> jax.Array:
    """[b, t] float32: -log p of each label, told a memory and those before it.

    Args:
      tree: parameters of the decoder.
      memory: [b, s, w].
      labels: [b, t] ints.
      present: [b, t] bool: there is a label.
      memory_present: [b, s] bool.
      start: token before all.
    """
    said = nets.shifted(labels, start)
    seen = dict(present=present, memory_present=memory_present)
    latent = self.ask(tree, "decode", said, memory, **seen)
    scores = lambda x: self.ask(tree, "scores", x)
    return losses.cross_entropy_in_pieces(latent, labels, scores, self.piece)

  def say(
    self,
    tree: method.Tree,
    memory: jax.Array,
    memory_present: jax.Array,
    length: int,
    special: spans.Special,
  ) -> jax.Array:
    """[b, length] int32: the likeliest token, after it the likeliest ...

    Behind the first end there is padding. Every token is a whole pass.
    """
    b = len(memory)

    def advance(said, before, i):
      said = jax.lax.dynamic_update_slice_in_dim(said, before[:, None], i, 1)
      latent = self.ask(
        tree, "decode", said, memory, memory_present=memory_present
      )
      last = jax.lax.dynamic_index_in_dim(latent, i, axis=1, keepdims=False)
      return self.ask(tree, "scores", last), said

    said = jnp.full((b, length), special.pad, jnp.int32)
    keys = jax.random.split(jax.random.key(0), b)  # of which nothing is drawn
    first = jnp.full(b, special.pad)
    start = dict(state=said, first=first, length=length)
    tokens = autoregressive.generate(keys, advance, **start, top_k=1)
    there = spans.present(tokens, special)
    return jnp.where(there, tokens, special.pad)


def mean(nats: jax.Array, counted: jax.Array) -> jax.Array:
  """Over the tokens that count, of the whole batch."""
  counted = counted.astype(jnp.float32)
  return (nats * counted).sum() / jnp.maximum(counted.sum(), 1.0)


def pooled(x: jax.Array, present: Sequence[bool] | jax.Array) -> jax.Array:
  """[b, w] float32: mean over the places [b, s] that are there."""
  weight = jnp.asarray(present).astype(jnp.float32)[..., None]
  x = x.astype(jnp.float32)
  return (x * weight).sum(1) / jnp.maximum(weight.sum(1), 1.0)
