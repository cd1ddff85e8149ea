import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import answers


def test_errors_are_of_decoded_answers(normal):
  context, target = normal(2, 5, 2, 2, 3), normal(2, 2, 2, 2, 3, seed=1)
  decode = lambda z: 2 * z
  answer = lambda c: decode(c[:, :1]) + jnp.zeros((1, 2, 1, 1, 1))
  told = {"right": context, "pairs_1": context[:, 2:]}
  found = answers.compared(answer, decode, told, target)
  gap = lambda z: ((2 * z - 2 * target) ** 2).mean((1, 2, 3, 4))
  np.testing.assert_allclose(found["copy"], gap(context[:, 4:]), rtol=1e-5)
  np.testing.assert_allclose(found["right"], gap(context[:, :1]), rtol=1e-5)
  np.testing.assert_allclose(found["pairs_1"], gap(context[:, 2:3]), rtol=1e-5)


def test_pairs_are_exchanged_and_the_query_stays(normal):
  a, b = normal(2, 5, 3), normal(2, 5, 3, seed=1)
  found = answers.exchanged(a, b)
  np.testing.assert_array_equal(found[:, :4], a[:, :4])
  np.testing.assert_array_equal(found[:, 4], b[:, 4])


def test_the_ratio_of_new_ones_is_that_of_their_own_errors():
  found = {"right": np.float32([1, 2, 3]), "copy": np.float32([4, 6, 8])}
  new = answers.of_new(found, np.array([0, 1, 1]))
  ratio = np.mean(new["new"]) / np.mean(new["new_copy"])
  np.testing.assert_allclose(ratio, (2 + 3) / (6 + 8))
