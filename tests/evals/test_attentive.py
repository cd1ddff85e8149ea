import evalkit
import jax
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import attentive


def test_it_learns_and_counts_all():
  evaluator = attentive.Evaluator(lrs=(3e-2, 1e-6), heads=2, epochs=12.0)
  values = dict(evaluator.run(evalkit.context()))
  assert values["lr0.03"] == values["top1"] > 70
  assert values["lr1e-06"] < values["top1"] and values["examples"] == 21


def test_all_rates_have_one_start():
  evaluator = attentive.Evaluator(lrs=(1.0, 2.0, 3.0))
  head = evaluator.head(8, 3)
  init = jax.jit(lambda key: evaluator.init(head, key, (2, 2, 8)))
  params = init(jax.random.key(0))
  for leaf in jax.tree.leaves(params["main"]["layers"]):
    assert len(leaf) == 3
    np.testing.assert_array_equal(leaf, np.stack([leaf[0]] * 3))


def test_tokens_of_any_grid_are_a_row():
  x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
  np.testing.assert_array_equal(attentive.flat(x), x.reshape(2, 12, 5))
  np.testing.assert_array_equal(attentive.flat(x[:, 0]), x[:, 0])


@pytest.mark.parametrize(
  "width, asked, heads", [(256, 0, 4), (32, 0, 1), (96, 3, 3)]
)
def test_heads_are_of_64_channels(width, asked, heads):
  assert attentive.Evaluator(heads=asked).head(width, 10).heads == heads


def test_heads_that_do_not_divide_are_refused():
  with pytest.raises(errors.UserError, match="width 100 for 3 heads"):
    attentive.Evaluator(heads=3).head(100, 10)
