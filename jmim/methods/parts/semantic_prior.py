"""A frozen run of `discrete.digit`, which says what is to be rendered."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import one_by_one
from jmim.methods.parts import token_lm
from jmim.nn.nets import token_lm as nets


@dataclasses.dataclass(frozen=True, kw_only=True)
class SemanticPrior:
  """Where it is, its size, and how it is sampled."""

  asked: ClassVar[bool] = True  # nothing of it is trained with

  path: str = field.value(
    "", "run of discrete.digit; empty: codes to be rendered are given"
  )
  sha256: str = field.value("", "hash of its weights; empty: any")
  classes: int = field.value(0, "labels that it reads; 0: none", low=0)
  lm: token_lm.TokenLM = field.part(
    token_lm.TokenLM, "language model of stage one"
  )
  sampling: one_by_one.OneByOne = field.part(
    one_by_one.OneByOne, "sampler of stage one", top_k=200
  )
  rt: runtime.Runtime = field.runtime()

  def net(self, codes: int, length: int) -> nets.TokenLM:
    """Its network, of so many different codes, and codes of an image."""
    lm = dataclasses.replace(self.lm, rt=self.rt)
    return lm.net(codes, self.classes, length)

  def inputs(self) -> dict[str, method.Input]:
    """label, if it reads one."""
    if not self.path or not self.classes:
      return {}
    return {"label": method.Input((), jnp.int32, high=self.classes)}

  def consts(self, codes: int, length: int) -> dict[str, method.Const]:
    """Its parameters, if there is one."""
    if not self.path:
      return {}
    self.lm.check("prior.lm")
    ids = jnp.zeros((1, 1 + length), jnp.int32)
    init = lambda key: self.net(codes, length).init(key, ids)["params"]
    # What no shape shows; codes are read, not images.
    own = {"lm.dims.heads": self.lm.dims.heads, "lm.post": self.lm.post}
    made = method.Const(
      self.path,
      init,
      self.sha256 or None,
      agrees={name: (f"method.prior.{name}", x) for name, x in own.items()},
      key="method.prior.path",
      images=False,
    )
    return {"prior": made}

  def sample(
    self,
    keys: jax.Array,
    weights: method.Weights,
    batch: method.Batch,
    shape: tuple[int, int],
  ) -> jax.Array:
    """[b, n] int32 codes.

    Args:
      keys: [b], one per row.
      weights: of which the consts hold it.
      batch: has the label, if it reads one.
      shape: (different codes, n).
    """
    codes, length = shape
    scored = token_lm.SPECIAL + codes
    end = jnp.full((len(keys), 1), token_lm.END)
    return self.sampling.sample(
      keys,
      self.net(codes, length),
      weights.consts["prior"],
      scored + batch["label"][:, None] if self.classes else end,
      codes=(token_lm.SPECIAL, codes),
    )
