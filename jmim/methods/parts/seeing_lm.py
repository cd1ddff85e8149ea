"""A ViT, two linear maps and a language model that reads what they give.

    v = W_2 gelu(W_1 ViT(x))             class token and patches
    z = LM([v, E[y_0], E[y_1], ..])      each place sees those before it

Letters: b batch, n places of what is seen, s of a text, w width of the language
model.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.diffusion import autoregressive
from jmim.nn import adapters
from jmim.nn import causal
from jmim.nn import losses
from jmim.nn import sizes
from jmim.nn.nets import vit
from jmim.nn.nets import word_lm


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeeingLM:
  """Sizes of the networks."""

  dims: sizes.Dims = field.part(sizes.Dims, "ViT", variant="Ti/4")
  lm: sizes.Blocks = field.part(
    sizes.Blocks, "language model", width=192, depth=4, heads=4
  )
  hidden: int = field.value(
    512, "hidden width of the language model's MLPs", low=1
  )
  theta: float = field.value(1e4, "base of the rotary positions", above=1)
  piece: int = field.value(
    16, "places whose scores of all words are in memory at once", low=1
  )
  rt: runtime.Runtime = field.runtime()

  def check(self, side: int, key: str = "network") -> None:
    """Raises ValueError for what does not fit images of that side."""
    self.dims.check(side, prefix=f"{key}.dims.")
    self.lm.check(prefix=f"{key}.lm.", table=False)
    if (self.lm.width // self.lm.heads) % 2:
      raise ValueError(
        f"{key}.lm.width {self.lm.width} with {key}.lm.heads {self.lm.heads}: "
        "rotary positions want heads of even width"
      )

  def vision(self, side: int) -> vit.ViT:
    """The ViT of images of that side; a teacher of the family `dino`."""
    return vit.build(self.dims, side, positions="learned", rt=self.rt)

  @property
  def projector(self) -> adapters.Projection:
    """From the ViT to the language model."""
    return adapters.Projection(self.lm.width, layers=2, rt=self.rt)

  def language(self, words: int) -> word_lm.WordLM:
    """The language model of so many different words."""
    return word_lm.WordLM(
      size=self.lm.size(self.hidden / self.lm.width),
      words=words,
      theta=self.theta,
      rt=self.rt,
    )

  def init(
    self, key: jax.Array, images: jax.Array, words: int
  ) -> dict[str, method.Tree]:
    """Parameters vision, project and lm, for such images [1, h, w, 3]."""
    keys = jax.random.split(key, 3)
    x = jnp.zeros((1, 1, self.dims.size.width))
    ids = jnp.zeros((1, 1), jnp.int32)
    made = {
      "vision": self.vision(images.shape[1]).init(keys[0], images),
      "project": self.projector.init(keys[1], x),
      "lm": self.language(words).init(keys[2], ids),
    }
    return {name: tree["params"] for name, tree in made.items()}

  def bound(self, params: method.Tree, side: int, words: int) -> "Bound":
    """The networks with their parameters."""
    return Bound(sizes=self, params=params, side=side, words=words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bound:
  """Networks with their parameters.

  Attributes:
    sizes: of them.
    params: of `SeeingLM.init`.
    side: of images [pixels].
    words: different ones.
  """

  sizes: SeeingLM
  params: method.Tree
  side: int
  words: int

  def sees(self, images: jax.Array) -> jax.Array:
    """v [b, n, w] of images."""
    vision, project = self.sizes.vision(self.side), self.sizes.projector
    seen = vision.apply({"params": self.params["vision"]}, images)["latent"]
    return project.apply({"params": self.params["project"]}, seen)

  def latent(self, v: jax.Array, ids: jax.Array) -> jax.Array:
    """z [b, s, w] of words [b, s] after what is seen, after the last norm."""
    x = jnp.concatenate([v, self._lm("read", ids)], axis=1)
    t = x.shape[1]
    rows = dict(bias=causal.causal(t, t), positions=jnp.arange(t)[None])
    return self._lm("run", x, **rows)["latent"][:, v.shape[1] :]

  def nats(self, z: jax.Array, targets: jax.Array) -> jax.Array:
    """[b, s] float32: -log softmax(scores of z) of words [b, s]."""
    scores = lambda x: self._lm("scores", x)
    piece = self.sizes.piece
    return losses.cross_entropy_in_pieces(z, targets, scores, piece)

  def drawn(
    self,
    v: jax.Array,
    keys: jax.Array,
    begin: int,
    *,
    length: int,
    **how: Any,
  ) -> jax.Array:
    """[b, length] int32: words after what is seen.

    Args:
      v: [b, n, w] of `sees`.
      keys: [b], one of each.
      begin: word before all.
      length: words.
      **how: of `autoregressive.generate`.
    """
    b, n, _ = v.shape
    total = n + length

    def run(x, cache, at):
      places = (at + jnp.arange(x.shape[1]))[None]
      bias = causal.causal(x.shape[1], total, at)
      rows = dict(bias=bias, positions=places)
      return self._lm("run", x, cache=cache, at=at, **rows)

    def advance(cache, before, i):
      out = run(self._lm("read", before[:, None]), cache, n + i)
      return self._lm("scores", out["latent"][:, 0]), out["cache"]

    empty = self.sizes.language(self.words).empty(b, total)
    cache = run(v, empty, 0)["cache"]
    start = dict(state=cache, first=jnp.full(b, begin), length=length)
    return autoregressive.generate(keys, advance, **start, **how)

  def _lm(self, name, *args, **more):
    """A method of the language model."""
    variables = {"params": self.params["lm"]}
    net = self.sizes.language(self.words)
    return net.apply(variables, *args, method=name, **more)
