"""A T5's encoder where a text encoder is asked for (`parts/text.py`).

Frozen, of a run of `text.t5` or weights of others (`hf_t5`), or trained along.
Behind the end of a text its vectors are zeros (`fill`): they say nothing, so
that whatever stands for a text, and has another length, may stand there too
(`edit.prompted`).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.masks import spans
from jmim.methods.parts import host as hosts
from jmim.methods.parts import t5 as t5s
from jmim.methods.parts import text
from jmim.nn.nets import text as nets


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Text:
  """Encoder of a T5; as it is, v1.1 base."""

  t5: t5s.T5 = field.part(t5s.T5, "sizes of the T5")
  length: int = field.value(77, "tokens of a text: data.text_length", low=2)
  end: int = field.value(1, "token after a text, data.text_end", low=0)
  pad: int = field.value(0, "token that fills up, data.text_pad", low=0)
  fill: str = field.value(
    "zeros",
    "vectors behind the end: zeros, or those that the encoder gives",
    choices=("zeros", "encoded"),
  )
  path: str = field.value(
    "", "run or .npz of a frozen T5; '': it is trained along"
  )
  sha256: str = field.value("", "hash of that file; '': any")
  weights: str = field.value(
    "raw", "weights that are read of that run", choices=("raw", "ema")
  )
  rt: runtime.Runtime = field.runtime()

  def __post_init__(self):
    """Hands the runtime on."""
    t5 = dataclasses.replace(self.t5, rt=self.rt)
    object.__setattr__(self, "t5", t5)

  @property
  def width(self) -> int:
    """Of the vectors."""
    return self.t5.width

  @property
  def special(self) -> spans.Special:
    """Tokens that are no words."""
    return spans.Special(pad=self.pad, end=self.end)

  def check(self, key: str = "text") -> None:
    """Raises ValueError for fields that do not go together; see `Text`."""
    self.t5.check(f"{key}.t5")
    own = {f"{key}.{n}": getattr(self, n) for n in ("end", "pad")}
    self.t5.check_words(f"{key}.t5", **own)

  def entries(self, key: str = "text") -> dict[str, method.Input]:
    """What is read of a batch: tokens [length]; see `Text`."""
    self.check(key)
    ids = method.Input(
      (self.length,),
      jnp.int32,
      high=self.t5.words,
      holds=(self.end,),
      closes=(self.end, self.pad),
    )
    return {"tokens": ids}

  def consts(self, key: str = "text") -> dict[str, method.Const]:
    """The encoder under the name "text", where it is frozen; see `Text`."""
    if not self.path:
      return {}
    own = {n: getattr(self, n) for n in ("path", "sha256", "weights")}
    names = dict(key=f"method.{key}", part=f"method.{key}.t5")
    made = self.t5.const(hosts.Host(**own), "encoder", **names)
    return {text.CONST: made}

  def init(self, key: jax.Array) -> method.Tree:
    """Fresh parameters; none, where it is frozen."""
    return {} if self.path else self.t5.side(key, "encoder")

  def encode(
    self,
    weights: method.Weights,
    params: method.Tree,
    ids: jax.Array,
    pooled: bool = False,
  ) -> nets.Encoded:
    """Vectors of texts, and if wanted their mean; see `Text`."""
    own = weights.consts[text.CONST] if self.path else params
    words = spans.present(ids, self.special)
    there = jnp.pad(words[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    there = there & (words | (ids == self.end))  # the end is there, too
    x = self.t5.ask(own, "encode", ids, there)
    if self.fill == "zeros":
      x = jnp.where(there[..., None], x, 0)
    one = t5s.pooled(x, there)
    return nets.Encoded(x, one if pooled else jnp.zeros_like(one))

  def empty(self, ids: jax.Array) -> jax.Array:
    """[b, l] the tokens of an empty text, as many as `ids`."""
    row = jnp.full(ids.shape[1], self.pad, ids.dtype).at[0].set(self.end)
    return jnp.broadcast_to(row, ids.shape)
