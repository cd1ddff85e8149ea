import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import prompt
from jmim.nn.nets import unet

PART = prompt.Prompt(context=6, tokens=3, time=7)
X = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
NET = unet.UNet(
  width=8,
  multipliers=(1,),
  blocks=1,
  attend_at=(),
  heads=2,
  groups=4,
  transformer=1,
)


def test_every_example_is_told_the_stored_features_at_one_time(fill):
  own = jnp.arange(18.0).reshape(3, 6) / 9
  net = fill(NET, X, jnp.zeros(1), None, jnp.zeros((2, 3, 6)))["params"]
  told = methods.Weights(
    {"main": {"net": net}}, {}, {"prompt": {"context": own}}
  )
  found, _ = jax.jit(lambda w: PART.run(w, NET, X))(told)
  want = NET.apply(
    {"params": net}, X, jnp.full(2, 7), None, jnp.stack([own] * 2)
  )
  np.testing.assert_allclose(found, want, atol=1e-5)
  none = methods.Weights(told.params)
  assert not np.asarray(PART.vectors(none, 2)).any()
  assert np.abs(PART.run(none, NET, X)[0] - want).max() > 1e-3


def test_features_are_read_where_there_is_a_file_and_who_reads_them():
  assert PART.consts() == {}
  stored = field.replace(PART, path="FILE")
  const = stored.consts()["prompt"]
  assert const.path == "FILE"
  assert const.init(jax.random.key(0))["context"].shape == (3, 6)
  silent = field.replace(stored, transformer=0)
  assert (
    silent.consts() == {} and silent.vectors(methods.Weights({}), 2) is None
  )
