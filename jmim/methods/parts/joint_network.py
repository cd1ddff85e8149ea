"""A language model, and a ViT through which it sees images (MMAR)."""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import host as hosts
from jmim.methods.parts import joint_pass
from jmim.methods.parts import word_lm
from jmim.nn import sizes
from jmim.nn import stack
from jmim.nn.nets import token_vision


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointNetwork:
  """Sizes of both."""

  lm: word_lm.WordLM = field.part(word_lm.WordLM, "language model")
  vision: sizes.Blocks = field.part(
    sizes.Blocks, "ViT (unverified)", width=1024, depth=12, heads=16
  )
  vision_mlp_ratio: float = field.value(
    4.0, "MLP hidden / width of the ViT", above=0
  )
  piece: int = field.value(
    8, "places whose scores of all words are in memory at once", low=1
  )
  rt: runtime.Runtime = field.runtime()

  def __post_init__(self):
    """Hands the runtime on."""
    lm = dataclasses.replace(self.lm, rt=self.rt)
    object.__setattr__(self, "lm", lm)

  def check(self, host: hosts.Host, key: str = "network") -> None:
    """Raises ValueError for what does not fit; key: of this part."""
    self.lm.check(host, f"{key}.lm")
    self.vision.check(prefix=f"{key}.vision.", table=False)

  def sight(self, n: int) -> token_vision.TokenVision:
    """The ViT, for n tokens."""
    return token_vision.TokenVision(
      size=self.vision.size(self.vision_mlp_ratio),
      length=n,
      out=self.lm.dims.width,
      rt=self.rt,
    )

  def init(
    self, key: jax.Array, shape: tuple[int, int], words: int
  ) -> method.Tree:
    """Parameters lm and vision, for tokens (n, c) and so many words."""
    k_lm, k_vision = jax.random.split(key)
    x, mask = jnp.zeros((1, *shape)), jnp.zeros((1, shape[0]), bool)
    vision = self.sight(shape[0]).init(k_vision, x, mask)["params"]
    return {word_lm.NAME: self.lm.init(k_lm, words), "vision": vision}

  def bound(
    self, weights: method.Weights, n: int, words: int, often: bool = False
  ) -> joint_pass.Joint:
    """Both networks with their parameters, in params["main"].

    Args:
      weights: of the method.
      n: tokens of an image.
      words: different ones.
      often: they are called in a loop, without a gradient.
    """
    tree = self.lm.folded(weights) if often else self.lm.tree(weights)
    trees = dict(language=tree, sight=weights.params["main"]["vision"])
    return joint_pass.Joint(
      lm=self.lm,
      vision=self.sight(n),
      words=words,
      piece=self.piece,
      **(stack.unrolled(self.rt, trees) if often else trees),
    )
