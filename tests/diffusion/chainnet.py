"""A network that knows a Markov chain: its exact conditionals, and counts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.data.procedural import markov


def conditionals(chain: markov.Chain, mask_id: int):
  """(tokens [b, l], t) -> logits [b, l, v + 1]: log p(x_l | what is seen)."""
  initial = jnp.asarray(chain.initial, jnp.float32)
  transition = jnp.asarray(chain.transition, jnp.float32)
  v = len(initial)

  def one(tokens):
    seen = jnp.where(
      (tokens == mask_id)[:, None], 1.0, jax.nn.one_hot(tokens, v)
    )

    def walk(first, matrix, evidence):
      def step(message, here):
        return matrix(message * here), message

      return jax.lax.scan(step, first, evidence)[1]

    ahead = walk(initial, lambda m: m @ transition, seen)
    back = walk(jnp.ones(v), lambda m: transition @ m, seen[::-1])[::-1]
    p = ahead * back  # of a position without its own evidence
    return jnp.log(jnp.append(p, jnp.ones((len(p), 1)), axis=1))

  return lambda x, t: jax.vmap(one)(x)


def sequences(chain: markov.Chain, length: int):
  """(all sequences [v^l, l], their probabilities)."""
  v = len(chain.initial)
  every = np.array(list(itertools.product(range(v), repeat=length)))
  return every, np.exp(-chain.nll(every))


def shares(tokens, v: int) -> np.ndarray:
  """[v^l] shares of the sequences, in the order of `sequences`."""
  tokens = np.asarray(tokens)
  number = tokens @ v ** np.arange(tokens.shape[1])[::-1]
  return np.bincount(number, minlength=v ** tokens.shape[1]) / len(tokens)


class Counted:
  """A network that says how often it really ran, and at what times."""

  def __init__(self, net):
    self.net, self.times = net, []

  def __call__(self, x, t):
    jax.debug.callback(lambda t: self.times.append(np.asarray(t)), t)
    return self.net(x, t)
