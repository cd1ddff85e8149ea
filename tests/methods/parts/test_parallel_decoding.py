import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import maskgit
from jmim.methods.parts import parallel_decoding

KEYS = jax.random.split(jax.random.key(0), 3)
START = jnp.full((3, 6), 4)


def net(x):
  logits = jnp.arange(24.0).reshape(6, 4) / 9
  return jnp.broadcast_to(logits, (len(x), 6, 4)) + 0.1 * (x[..., None] == 4)


def test_its_fields_are_what_is_asked_of_the_decoding():
  part = parallel_decoding.Parallel(
    steps=3, schedule="pow2", temperature=2.0, order="random"
  )
  made = part.sample(KEYS, net, START, 4)
  same = maskgit.maskgit_decode(
    KEYS,
    net,
    START,
    4,
    num_iter=3,
    schedule="pow2",
    tau=2.0,
    keep_fn=maskgit.at_random,
  )
  jax.tree.map(np.testing.assert_array_equal, made, same)
  other = parallel_decoding.Parallel(steps=3).sample(KEYS, net, START, 4)
  assert (other.left != made.left).any() and len(other.drawn) == 3


def test_a_schedule_that_is_none():
  with pytest.raises(ValueError, match="sampling.schedule 'cos' is none of"):
    parallel_decoding.Parallel(schedule="cos").check()
