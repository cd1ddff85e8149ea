import math

import evalkit
import numpy as np
import pytest
import tokenkit

from jmim.evals import nll


def test_bits_per_dimension_by_hand():
  context = evalkit.context()
  values = dict(nll.Evaluator().run(context))
  images, _ = context.rows("pixels", "eval", None, "raw")
  want = (images.astype(np.float64) ** 2).sum((1, 2, 3)).mean()
  np.testing.assert_allclose(values["nats"], want, rtol=1e-5)
  np.testing.assert_allclose(
    values["bits_per_dim"], want / 48 / math.log(2), rtol=1e-5
  )
  assert values["examples"] == 21


def test_dimensions_of_tokens_are_their_length():
  method = tokenkit.Independent(length=4)
  context = evalkit.stub([])
  context.method = method
  context.rows = lambda *args: (np.array([2.0, 4.0]), None)
  values = dict(nll.Evaluator().run(context))
  assert values["nats"] == 3.0
  assert values["bits_per_dim"] == pytest.approx(3.0 / 4 / math.log(2))
