import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import copying


def test_the_loss_has_three_terms_of_which_two_are_copied():
  a, b = jnp.full((1, 2, 2, 1), 1.0), jnp.full((1, 2, 2, 1), 3.0)
  f = [jnp.zeros((1, 4, 2)), jnp.ones((1, 1, 8))]
  g = [jnp.full((1, 4, 2), 2.0), jnp.full((1, 1, 8), 3.0)]
  each = copying.terms((a, f), (b, g))
  # Attentions count alike, however many tokens they have.
  assert {n: float(x) for n, x in each.items()} == {"taught": 4, "features": 4}
  each["noise"] = jnp.float32(9.0)
  assert copying.Copying().total(each) == 9.0 + 0.5 * 4.0 + 0.5 * 4.0
  other = copying.Copying(prediction=1.0, features=0.0)
  assert other.total(each) == 13.0


def test_errors_of_each_example_and_shares_of_features(normal):
  e, e_host, y = (normal(2, 3, 3, 1, seed=i) for i in range(3))
  f, g = ([normal(2, n, 5, seed=i + n) for n in (4, 9)] for i in (3, 4))
  found = copying.errors((e, f), (e_host, g), y)
  square = lambda a: (a**2).reshape(2, -1).mean(1)
  np.testing.assert_allclose(found["target"], square(e - y), rtol=1e-5)
  np.testing.assert_allclose(
    found["host_target"], square(e_host - y), rtol=1e-5
  )
  np.testing.assert_allclose(found["taught"], square(e - e_host), rtol=1e-5)
  each = [square(a - b) / square(b) for a, b in zip(f, g, strict=True)]
  np.testing.assert_allclose(found["features"], np.mean(each, 0), rtol=1e-5)
