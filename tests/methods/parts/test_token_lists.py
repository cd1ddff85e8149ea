import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import token_counts
from jmim.methods.parts import token_lists
from jmim.nn import sizes


@pytest.mark.parametrize(
  "name, width, giga", [("deit_s_2.9g", 384, 2.9), ("mae_b_11.5g", 768, 11.5)]
)
def test_published_lists_cost_what_the_paper_says(name, width, giga):
  size = sizes.Size(width=width, depth=12, heads=6)
  lists = token_lists.TokenLists(published=name)
  lists.check(12, 197)
  cost = token_counts.flops(
    lists.kept, size, patch=16, patches=196, classes=1000
  )
  assert float(cost) / 1e9 == pytest.approx(giga, abs=0.05)


def test_lists_are_given_or_learned():
  assert token_lists.TokenLists().kept is None
  own = token_lists.TokenLists(prune=(5, 3), merge=(4, 3))
  assert own.kept == ((5, 3), (4, 3))


def test_only_a_random_order_is_drawn():
  draw = lambda order: token_lists.TokenLists(order=order).draw(
    randomness.Keys(jax.random.key(0)), (2, 3, 4)
  )
  assert draw("importance") == {}
  noise = np.asarray(draw("random")["order"])
  assert noise.shape == (2, 3, 4) and len(np.unique(noise)) == 24


@pytest.mark.parametrize(
  "fields, words",
  [
    (dict(prune=(17, 9)), "merge"),
    (dict(prune=(17,), merge=(17, 9)), "not one whole number"),
    (dict(prune=(17, 8.5), merge=(17, 9)), "not one whole number"),
    (dict(prune=(18, 9), merge=(17, 9)), "2 .. 17"),
    (dict(prune=(17, 9), merge=(17, 1)), "2 .. 17"),
    (dict(published="deit_s_2.9g"), "each of 2 blocks"),
    (dict(published="deit_s_2.9g", prune=(17, 9)), "with prune"),
  ],
)
def test_lists_that_cannot_be_followed(fields, words):
  with pytest.raises(ValueError, match=words):
    token_lists.TokenLists(**fields).check(2, 17, least=2)


def test_patches_are_not_merged_into_the_class_token():
  lists = token_lists.TokenLists(prune=(17, 9), merge=(17, 1))
  with pytest.raises(ValueError, match="keep cls only"):
    lists.check(2, 17)
  token_lists.TokenLists(prune=(17, 1), merge=(17, 1)).check(2, 17)


def test_a_uniform_list_is_the_longest_that_is_cheap_enough():
  size, how = (
    sizes.Size(width=8, depth=4, heads=2),
    dict(patch=4, patches=64, classes=5),
  )
  cost = lambda kept: float(token_counts.flops((kept, kept), size, **how))
  for share in (0.55, 0.8, 1.0):
    target = share * cost([65] * 4)
    kept = token_lists.uniform(target, size, **how)
    assert kept[0] == 65 and list(kept) == sorted(kept, reverse=True)
    assert 0.97 * target < cost(kept) <= target
  with pytest.raises(ValueError, match="one patch per block"):
    token_lists.uniform(1.0, size, **how)
