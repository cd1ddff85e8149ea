import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.diffusion import ddpm
from jmim.methods.parts import gaussian
from jmim.methods.parts import variational

NOISE = gaussian.Gaussian(times=20, beta_start=1e-3, beta_end=0.5)
LEARNED = field.replace(NOISE, learn_variance=True, variance="learned")


def test_the_bound_is_that_of_the_process_or_nothing():
  x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 3)))
  keys = lambda name: jax.random.key(len(name))
  draws = LEARNED.draw(keys, x.shape)
  raw = jnp.concatenate([draws["noise"], jnp.zeros_like(x)], -1)
  found = variational.bound(LEARNED, raw, x, draws)
  want = LEARNED.errors(raw, x, draws)["vb"].mean()
  np.testing.assert_allclose(found["loss_vb"], want, rtol=1e-6)
  assert variational.bound(NOISE, raw[..., :3], x, draws) == {}


def test_it_is_of_predicted_noise_only():
  plain = ddpm.DDPM.tiny()
  both = field.replace(plain, noise=dict(learn_variance=True))
  assert variational.learns(both) and not variational.learns(plain)
  assert not variational.learns(field.replace(plain, prediction="v"))
  with pytest.raises(ValueError, match="prediction 'v'"):
    variational.learns(field.replace(both, prediction="v"))
