"""Characters as a context: a vector of each, and one of its place (DiffSTE).

    c_i = symbols[id_i] + places[i]

Nothing mixes the characters before cross-attention does, so that how a word is
spelt is never hidden in one vector of the whole word.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method

ENTRY = "characters"
SPACE = 0  # fills up, and stands for no word


@dataclasses.dataclass(frozen=True, kw_only=True)
class Characters:
  """Tables of symbols and places, and heads of what looks at them."""

  symbols: int = field.value(
    95, "different characters; 0 is a space, which fills up", low=2
  )
  length: int = field.value(20, "characters of a word, filled up", low=1)
  width: int = field.value(32, "width of their vectors", low=1)
  heads: int = field.value(
    2, "heads of the transformers that attend to them", low=1
  )

  def inputs(self) -> dict[str, method.Input]:
    """characters [b, length] int32, in the order of `data.characters`."""
    return {ENTRY: method.Input((self.length,), jnp.int32, high=self.symbols)}

  def init(self, key: jax.Array) -> method.Tree:
    """Normal tables, as torch's are; the space is 0, and stays so."""
    k_symbols, k_places = jax.random.split(key)
    symbols = jax.random.normal(k_symbols, (self.symbols, self.width))
    places = jax.random.normal(k_places, (self.length, self.width))
    return {"symbols": symbols.at[SPACE].set(0.0), "places": places}

  def encode(self, params: method.Tree, ids: jax.Array) -> jax.Array:
    """[b, l] -> [b, l, width]; the space's vector is not trained."""
    rows = params["symbols"][ids]
    space = (ids == SPACE)[..., None]
    rows = jnp.where(space, jax.lax.stop_gradient(rows), rows)
    return rows + params["places"][: ids.shape[1]]

  def none(self, ids: jax.Array) -> jax.Array:
    """[b, l] spaces, as many as `ids`."""
    return jnp.full_like(ids, SPACE)
