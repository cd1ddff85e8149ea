import jax
import pytest

from jmim.core import field
from jmim.methods.parts import token_lm

SMALL = field.replace(
  token_lm.TokenLM(), dims=dict(width=16, depth=1, heads=2), mlp_ratio=2.0
)


def test_ids_are_special_ones_codes_and_more():
  net = SMALL.net(7, 3, length=4, prefix=2, one_way=False)
  assert (net.outputs, net.rows) == (12, 15)
  assert (net.length, net.prefix, net.one_way) == (5, 2, False)
  assert (net.post, net.rate, net.size.mlp_ratio) == (True, 0.1, 2.0)


def test_the_published_size_has_219_million_parameters():
  net = token_lm.TokenLM().net(8192, 0, length=256)
  ids = jax.ShapeDtypeStruct((1, 257), "int32")
  shapes = jax.eval_shape(net.init, jax.random.key(0), ids)
  count = sum(x.size for x in jax.tree.leaves(shapes))
  assert round(count / 1e6) == 219


def test_dropout_is_drawn_where_there_is_some():
  assert SMALL.draw(jax.random.key(0), 3)["dropout"].shape == (3, 2)
  still = field.replace(SMALL, dropout=0.0)
  assert still.draw(jax.random.key(0), 3) == {}


def test_heads_that_do_not_divide():
  with pytest.raises(ValueError, match="own.dims.width 16"):
    field.replace(SMALL, dims=dict(heads=3)).check("own")
