"""A method of tokens whose likelihood is known: all of them independent."""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method


@dataclasses.dataclass(frozen=True, kw_only=True)
class Independent(method.Method):
  """Tokens from one distribution."""

  length: int = field.value(5, "tokens of a sequence", low=1)
  codes: int = field.value(6, "size of the vocabulary", low=2)

  def inputs(self):
    return {"tokens": method.Input((self.length,), jnp.int32, high=self.codes)}

  def init(self, key, batch):
    return {"main": {"logits": jax.random.normal(key, (self.codes,))}}, {}

  def nll(self, weights, batch, key):
    """[b] nats."""
    logs = jax.nn.log_softmax(weights.params["main"]["logits"])
    return -logs[batch["tokens"]].sum(-1)

  def sample(self, weights, batch, key):
    """[b, length], each of its own number."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch["index"])
    logits = weights.params["main"]["logits"]
    one = lambda k: jax.random.categorical(k, logits, shape=(self.length,))
    return jax.vmap(one)(keys).astype(jnp.int32)

  def predict(self):
    return {"nll": self.nll, "sample": self.sample}
