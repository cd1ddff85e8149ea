"""A network that knows a Markov chain: its exact conditionals, and counts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.data.procedural import markov
from jmim.diffusion import chains


def conditionals(chain: markov.Chain, mask_id: int):
  """(tokens [b, l], t) -> logits [b, l, v + 1]: log p(x_l | what is seen)."""

  def net(x, t):
    del t
    logp = chains.conditionals(chain.initial, chain.transition, x, mask_id)
    return jnp.concatenate([logp, jnp.zeros((*x.shape, 1))], axis=-1)

  return net


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
