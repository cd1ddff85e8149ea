import math
import types

import evalkit
import numpy as np
import pytest
import tokenkit

from jmim.core import errors
from jmim.core import field
from jmim.evals import nll
from jmim.methods.discrete import digit


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


@pytest.mark.parametrize("read", ["codes", "images"])
def test_dimensions_of_codes_are_their_number(read):
  """Not that of the pixels that they are made of."""
  context = evalkit.stub([])
  tiny = digit.DiGIT.tiny()
  context.method = field.replace(tiny, classes=0, semantic=dict(read=read))
  assert "tokens" not in context.method.inputs()
  context.rows = lambda *args: (np.array([2.0, 4.0]), None)
  values = dict(nll.Evaluator().run(context))
  n = context.method.semantic.length
  assert values["bits_per_dim"] == pytest.approx(3.0 / n / math.log(2))


def test_what_it_is_of_must_be_known():
  context = evalkit.stub([])
  inputs = {"volume": None, "label": None}
  context.method = types.SimpleNamespace(inputs=lambda: inputs)
  with pytest.raises(errors.UserError, match="reads label, volume"):
    dict(nll.Evaluator().run(context))


def test_dimensions_of_tokens_are_their_length():
  method = tokenkit.Independent(length=4)
  context = evalkit.stub([])
  context.method = method
  context.rows = lambda *args: (np.array([2.0, 4.0]), None)
  values = dict(nll.Evaluator().run(context))
  assert values["nats"] == 3.0
  assert values["bits_per_dim"] == pytest.approx(3.0 / 4 / math.log(2))
