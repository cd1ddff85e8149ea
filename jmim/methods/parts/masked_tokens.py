"""A masked encoder and decoder that give each token a vector (MAR).

    rate ~ N(1, 0.25) cut to [least_rate, 1], one for a batch
    order ~ permutations, one per image; its first ceil(n rate) are masked
    z = Decoder(restore(Encoder([label x buffer, x[kept]]), mask_token))

The encoder gathers as many tokens as the least rate leaves; those too many are
attended to by nothing (`nn.budget`). Letters: b batch, n tokens, c numbers of a
token, d width of the decoder.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.masks import rates
from jmim.masks import tokens as masking
from jmim.nn import budget
from jmim.nn import dropout
from jmim.nn import sizes
from jmim.nn.nets import mar


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedTokens:
  """Sizes of both, and how many tokens are masked in training."""

  encoder: sizes.Blocks = field.part(
    sizes.Blocks, "encoder", width=1024, depth=16, heads=16
  )
  decoder: sizes.Blocks = field.part(
    sizes.Blocks, "decoder", width=1024, depth=16, heads=16
  )
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  buffer: int = field.value(64, "tokens of the label", low=1)
  dropout: float = field.value(
    0.1, "dropout of branches and hidden layers", low=0.0, below=1.0
  )
  least_rate: float = field.value(
    0.7, "least share masked in training", above=0.0, below=1.0
  )
  rt: runtime.Runtime = field.runtime()

  def check(self, key: str = "network") -> None:
    """Raises ValueError for blocks that cannot be built; key: of this part."""
    self.encoder.check(prefix=f"{key}.encoder.", table=False)
    self.decoder.check(prefix=f"{key}.decoder.", table=False)

  def net(self, n: int, classes: int) -> mar.MAR:
    """Encoder and decoder of n tokens."""
    return mar.MAR(
      encoder=self.encoder.size(self.mlp_ratio),
      decoder=self.decoder.size(self.mlp_ratio),
      length=n,
      classes=classes,
      buffer=self.buffer,
      rate=self.dropout,
      rt=self.rt,
    )

  def init(
    self, key: jax.Array, shape: tuple[int, int], classes: int
  ) -> method.Tree:
    """Parameters; shape: (n, c)."""
    n, x = shape[0], jnp.zeros((1, *shape))
    mask = masking.from_scores(jnp.arange(n)[None], n)
    label = jnp.zeros(1, jnp.int32)
    return self.net(n, classes).init(key, x, label, mask)["params"]

  def draw(self, keys: randomness.Keys, shape: tuple[int, int]) -> method.Draws:
    """n_mask, a number of all; order [b, n]; dropout keys [b, 2]."""
    b, n = shape
    u = jax.random.uniform(keys("rate"), ())
    rate = rates.truncated_normal(u, self.least_rate)
    scores = jax.random.uniform(keys("order"), shape)
    return {
      "n_mask": rates.count(rate, n, self.least_rate),
      "order": jnp.argsort(scores, axis=1),
      **dropout.draw(keys("dropout"), self.dropout, b),
    }

  def mask(
    self,
    order: jax.Array,
    masked: jax.Array | int,
    least: int | None = None,
  ) -> tuple[masking.Mask, jax.Array | None]:
    """The first `masked` of each order [b, n] masked; see `budget.split`.

    Args:
      order: permutations.
      masked: how many are, may be traced.
      least: of which it may be; None: that of training.
    """
    n = order.shape[1]
    least = rates.least_count(n, self.least_rate) if least is None else least
    place = jnp.argsort(order, axis=1)
    return budget.split(-place, n - masked, n - least)

  def vectors(
    self,
    params: method.Tree,
    x: jax.Array,
    labels: Sequence[jax.Array | None],
    masked: tuple[masking.Mask, jax.Array | None],
    classes: int,
    keys: jax.Array | None = None,
  ) -> list[jax.Array]:
    """z [b, n, d] of the same tokens given each of several labels [b].

    Args:
      params: of `init`.
      x: [b, n, c]; masked ones are not looked at.
      labels: None, or `classes`, is none; all go through the network as one
        batch.
      masked: of `mask`.
      classes: labels there are.
      keys: [b, 2] of dropout; None: no dropout.
    """
    none = jnp.full(len(x), classes)
    labels = [none if label is None else label for label in labels]
    again = lambda a: jnp.concatenate([a] * len(labels))
    x, (mask, valid) = jax.tree.map(again, (x, masked))
    net = self.net(x.shape[1], classes)
    label = jnp.concatenate(labels)
    z = net.apply({"params": params}, x, label, mask, valid=valid, keys=keys)
    return jnp.split(z, len(labels))
