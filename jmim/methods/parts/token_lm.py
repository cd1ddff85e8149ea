"""A language model of codes, as fairseq builds it, as a config section.

Ids: 0 .. 4 are fairseq's (beginning, padding, end, unknown, separator), the
codes follow, and after them what is read but never scored: labels, or the codes
of a prefix.
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import runtime
from jmim.nn import dropout
from jmim.nn import sizes
from jmim.nn.nets import token_lm

END, UNKNOWN, SPECIAL = 2, 3, 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenLM:
  """Size, form of the blocks and dropout."""

  dims: sizes.Blocks = field.part(
    sizes.Blocks, "transformer", width=1024, depth=16, heads=16
  )
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  post: bool = field.value(
    True, "norms after each sum; False: before, and one after all blocks"
  )
  dropout: float = field.value(
    0.1, "dropout of embeddings and branches", low=0.0, below=1.0
  )
  rt: runtime.Runtime = field.runtime()

  def net(
    self,
    codes: int,
    more: int,
    length: int,
    prefix: int = 0,
    one_way: bool = True,
  ) -> token_lm.TokenLM:
    """The network.

    Args:
      codes: that it scores, beside the special ones.
      more: ids that it reads beside them.
      length: codes of a sequence, before which comes one token more.
      prefix: tokens before that.
      one_way: no token sees later ones.
    """
    return token_lm.TokenLM(
      size=self.dims.size(self.mlp_ratio),
      rows=SPECIAL + codes + more,
      outputs=SPECIAL + codes,
      length=1 + length,
      prefix=prefix,
      one_way=one_way,
      post=self.post,
      rate=self.dropout,
      rt=self.rt,
    )

  def check(self, key: str) -> None:
    """Raises ValueError for sizes that do not fit; key: of this part."""
    self.dims.check(prefix=f"{key}.dims.", table=False)

  def draw(self, key: jax.Array, batch: int) -> dict[str, jax.Array]:
    """dropout: keys [b, 2], if there is any."""
    return dropout.draw(key, self.dropout, batch)
