"""A text encoder, trained along or frozen: tokens to vectors.

A method that is told by texts reads `tokens` of a batch (docs/data.md). Without
a path the encoder is among its parameters; with one it is a frozen network,
picked out of a run (`text.clip`, weights of others) by its names and shapes.
What a text encoder of another kind needs to be used in its place: `length`,
`width`, `entries`, `consts`, `init`, `encode` and `empty`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import mlp
from jmim.nn import sizes
from jmim.nn.nets import text

CONST = "text"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
  """CLIP's encoder; as it is, that of Stable Diffusion 1."""

  vocabulary: int = field.value(49_408, "different tokens", low=3)
  length: int = field.value(77, "tokens of a text: data.text_length", low=2)
  start: int = field.value(
    49_406, "token before a text, data.text_start; -1: none", low=-1
  )
  end: int = field.value(
    49_407, "token after a text, data.text_end, at which it is pooled", low=0
  )
  pad: int = field.value(49_407, "token that fills up, data.text_pad", low=0)
  width: int = field.value(768, "width of the encoder", low=1)
  depth: int = field.value(12, "blocks", low=1)
  heads: int = field.value(12, "attention heads", low=1)
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  act: str = field.value(
    "quick_gelu", "activation of its MLPs", choices=tuple(mlp.ACTIVATIONS)
  )
  causal: bool = field.value(
    True, "a token sees those before it only; False: all up to the end"
  )
  layer: int = field.value(
    1, "layer that is read, from the end: 1 the last, 2 (Stable Diffusion 2)"
  )
  projection: int = field.value(
    0, "width of the text's one vector, by a map; 0: no map", low=0
  )
  path: str = field.value(
    "", "run or .npz of a frozen encoder; '': it is trained along"
  )
  sha256: str = field.value("", "hash of that file; '': any")
  weights: str = field.value(
    "raw", "weights of that run: raw or ema", choices=("raw", "ema")
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def net(self) -> text.TextEncoder:
    """The encoder."""
    names = ("width", "depth", "heads", "mlp_ratio")
    return text.TextEncoder(
      size=sizes.Size(**{name: getattr(self, name) for name in names}),
      vocabulary=self.vocabulary,
      length=self.length,
      causal=self.causal,
      act=self.act,
      projection=self.projection,
      rt=self.rt,
    )

  def check(self, key: str = "text") -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      key: of this part in the method, for messages.
    """
    for name in ("start", "end", "pad"):
      if (token := getattr(self, name)) >= self.vocabulary:
        raise ValueError(
          f"{key}.{name} {token} of {key}.vocabulary {self.vocabulary}"
        )
    if self.width % self.heads:
      raise ValueError(
        f"{key}.width {self.width} does not divide by {key}.heads {self.heads}"
      )
    if not 1 <= self.layer <= self.depth:
      raise ValueError(
        f"{key}.layer {self.layer} of {self.depth} blocks: 1 is the last"
      )

  def entries(self, key: str = "text") -> dict[str, method.Input]:
    """What is read of a batch: tokens [length].

    Args:
      key: of this part in the method, for messages.

    Raises:
      ValueError: fields that do not go together.
    """
    self.check(key)
    around = tuple(i for i in (self.start, self.end) if i >= 0)
    ids = method.Input(
      (self.length,),
      jnp.int32,
      high=self.vocabulary,
      holds=around,
      closes=(self.end, self.pad) if self.end >= 0 else (),
    )
    return {"tokens": ids}

  def consts(self, key: str = "text") -> dict[str, method.Const]:
    """The encoder under the name "text", where it is frozen; see `entries`."""
    if not self.path:
      return {}
    agrees = {
      f"text.{name}": (f"method.{key}.{name}", getattr(self, name))
      for name in ("heads", "act", "causal")
    }
    made = method.Const(
      self.path,
      self._init,
      self.sha256 or None,
      agrees=agrees,
      weights=self.weights,
      key=f"method.{key}.path",
      images=False,
    )
    return {CONST: made}

  def init(self, key: jax.Array) -> method.Tree:
    """Fresh parameters; none, where it is frozen."""
    return {} if self.path else self._init(key)

  def _init(self, key):
    ids = jnp.zeros((1, self.length), jnp.int32)
    return self.net.init(key, ids, end=self.end)["params"]

  def encode(
    self,
    weights: method.Weights,
    params: method.Tree,
    ids: jax.Array,
    pooled: bool = False,
  ) -> text.Encoded:
    """Vectors of texts.

    Args:
      weights: of the method; a frozen encoder is among its consts.
      params: those of `init`, wherever the method keeps them.
      ids: [b, l] int32 tokens.
      pooled: whether one vector of each text is wanted, too.
    """
    own = weights.consts[CONST] if self.path else params
    net = self.net
    options = {"end": self.end, "layer": self.layer, "pooled": pooled}
    return net.apply({"params": own}, ids, **options)

  def empty(self, ids: jax.Array) -> jax.Array:
    """[b, l] the tokens of an empty text, as many as `ids`."""
    said = [self.start] * (self.start >= 0) + [self.end]
    row = [*said, *[self.pad] * (ids.shape[1] - len(said))]
    return jnp.broadcast_to(jnp.array(row, ids.dtype), ids.shape)
