"""A language model (Qwen2), trained whole, or frozen with LoRA beside it.

    x W                          without `lora.rank`: all of it is trained
    x W + (alpha / rank) x D U   W frozen, a const; D and U are trained

See `nn.low_rank`. Defaults are those of Qwen2 0.5B, a public configuration.
"""

import contextlib
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.core import tree as trees
from jmim.methods.parts import host as hosts
from jmim.nn import low_rank
from jmim.nn import sizes
from jmim.nn.nets import word_lm

NAME = "lm"  # of its tree in that of a method


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoRA:
  """Size and places of what is trained beside a frozen model."""

  rank: int = field.value(
    0, "inner width; 0: none, the model is trained whole", low=0
  )
  alpha: float = field.value(
    16.0, "factor of what is added, times 1 / rank", above=0
  )
  maps: tuple = field.value(
    ("attn/q", "attn/v"),
    "ends of names of the linear maps that have one (unverified)",
  )

  @property
  def scale(self) -> float:
    """Factor of the product."""
    return self.alpha / max(1, self.rank)

  def wanted(self, leaf: str) -> bool:
    """Whether a leaf of that name is a kernel that has one."""
    return f"/{leaf}".endswith(tuple(f"/{name}/kernel" for name in self.maps))

  def lost(self, tree: method.Tree) -> list[str]:
    """Those of `maps` that no kernel of a tree is of; of no maps: ["none"]."""
    leaves = list(trees.named(tree))
    ends = lambda name: f"/{name}/kernel"
    found = lambda name: any(f"/{x}".endswith(ends(name)) for x in leaves)
    return [name for name in self.maps or ("none",) if not found(name)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordLM:
  """Size of the model, and how it is trained."""

  dims: sizes.Blocks = field.part(
    sizes.Blocks, "transformer", width=896, depth=24, heads=14
  )
  hidden: int = field.value(4864, "hidden width of the MLPs", low=1)
  kv_heads: int = field.value(2, "heads of keys and values", low=1)
  theta: float = field.value(1e6, "base of the rotary positions", above=1)
  eps: float = field.value(1e-6, "epsilon of the RMSNorms", above=0)
  tied: bool = field.value(
    True, "words are scored by their embeddings (7B: False)"
  )
  lora: LoRA = field.part(LoRA, "small maps beside a frozen model")
  rt: runtime.Runtime = field.runtime()

  def check(self, host: hosts.Host, key: str = "network.lm") -> None:
    """Raises ValueError for what does not fit; key: of this part."""
    dims = self.dims
    dims.check(prefix=f"{key}.dims.", table=False)
    if dims.heads % self.kv_heads:
      raise ValueError(
        f"{key}.dims.heads {dims.heads} does not divide by {key}.kv_heads "
        f"{self.kv_heads}"
      )
    if (dims.width // dims.heads) % 2:
      raise ValueError(
        f"{key}.dims: heads of width {dims.width // dims.heads}, which rotary "
        "positions want even"
      )
    if self.lora.rank and (lost := self.lora.lost(self._shapes(2))):
      raise ValueError(
        f"{key}.lora.maps {lost}: no linear map of the model has such a name"
      )
    if host.path and not self.lora.rank:
      raise ValueError(
        f"host.path with {key}.lora.rank 0: a model that is trained whole "
        "begins with init_from.path"
      )

  def net(self, words: int) -> word_lm.WordLM:
    """The network on so many different words."""
    return word_lm.WordLM(
      size=self.dims.size(self.hidden / self.dims.width),
      words=words,
      kv_heads=self.kv_heads,
      theta=self.theta,
      eps=self.eps,
      tied=self.tied,
      rt=self.rt,
    )

  def fresh(self, key: jax.Array, words: int) -> method.Tree:
    """Parameters of the model alone."""
    ids = jnp.zeros((1, 1), jnp.int32)
    return self.net(words).init(key, ids)["params"]

  def _shapes(self, words):
    """The tree of `fresh` without its arrays."""
    make = lambda key: self.fresh(key, words)
    return jax.eval_shape(make, jax.random.key(0))

  def init(self, key: jax.Array, words: int) -> method.Tree:
    """What is trained: the model, or what lies beside it."""
    if not self.lora.rank:
      return self.fresh(key, words)
    like, wanted = self._shapes(words), self.lora.wanted
    return low_rank.init(key, like, rank=self.lora.rank, wanted=wanted)

  def consts(self, words: int, host: hosts.Host) -> dict[str, method.Const]:
    """The frozen model, if there is one."""
    if not self.lora.rank:
      return {}
    names = ("theta", "eps", "tied")
    own = {"dims.heads": self.dims.heads}
    own |= {name: getattr(self, name) for name in names}
    key = "network.lm.{}".format
    agrees = {key(n): (f"method.{key(n)}", value) for n, value in own.items()}
    made = host.const(lambda k: self.fresh(k, words), agrees)
    return {"host": dataclasses.replace(made, images=False)}

  def tree(self, weights: method.Weights) -> method.Tree:
    """Parameters of the network: the model, with what lies beside it."""
    own = weights.params["main"][NAME]
    if not self.lora.rank:
      return own
    return hosts.laid(weights.consts["host"], {"new": own})

  def folded(self, weights: method.Weights) -> method.Tree:
    """Parameters of a model that computes the same and has nothing beside."""
    return low_rank.folded(self.tree(weights), self.lora.scale)

  def ask(self, tree: method.Tree, words: int, *args: Any, **more: Any) -> Any:
    """A method of the network (`read`, `run`, `scores`) on its parameters.

    Args:
      tree: of `tree` or `folded`.
      words: as of `net`.
      *args: of it.
      **more: of it; method: its name.
    """
    beside = low_rank.added(self.lora.scale) if self.lora.rank else None
    with beside or contextlib.nullcontext():
      return self.net(words).apply({"params": tree}, *args, **more)
