"""Keys and values of one pass in another, of both kinds of self-attention."""

import jax
import numpy as np
import pytest

from jmim.nn import attention
from jmim.nn import bank as banks
from jmim.nn import hooks
from jmim.nn.nets import unet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 4, 3)).astype(np.float32)
OTHER = RNG.normal(size=(4, 4, 4, 3)).astype(np.float32)
T = np.ones(1)
CONTEXT = RNG.normal(size=(1, 3, 6)).astype(np.float32)


def net(transformer):
  return unet.UNet(
    width=8,
    multipliers=(1, 2),
    blocks=1,
    attend_at=(1,),
    heads=(1, 2),
    groups=4,
    transformer=transformer,
  )


@pytest.fixture(params=[0, 2], ids=["attention", "transformer"])
def see(request, fill):
  """(images, bank) -> (prediction, taps)."""
  model = net(request.param)
  context = np.repeat(CONTEXT, 4, 0)
  variables = fill(model, X, T, None, context[:2])

  @jax.jit
  def tapped(x, bank=None):
    told = (x, T, None, context[: len(x)])
    return model.apply(variables, *told, bank=bank, method="tapped")

  return tapped


def test_no_bank_and_own_tokens_twice_change_nothing(see):
  """Every key twice: the softmax halves both."""
  plain, taps = see(X)
  assert set(taps.bank) == set(taps.attention) and len(taps.bank) >= 4
  np.testing.assert_array_equal(see(X, {})[0], plain)
  again, _ = see(X, taps.bank)
  np.testing.assert_allclose(again, plain, atol=1e-5)


def test_queries_see_their_own_tokens_and_then_each_shot(see):
  _, taps = see(OTHER)
  bank = banks.folded(taps.bank, 2)
  plain, (found, inner) = see(X)[0], see(X, bank)
  assert np.abs(found - plain).max() > 1e-3
  name = "down0_0_attention/" + ("attn" if len(bank) == 4 else "self_0")
  k, _ = bank[name]
  first = {n: (k[:1], v[:1]) for n, (k, v) in taps.bank.items()}
  own = {n: (k[:1], v[:1]) for n, (k, v) in bank.items()}
  tokens = k.shape[2] // 2
  np.testing.assert_array_equal(own[name][0][:, :, :tokens], first[name][0])
  # What is kept of a pass is its own, whatever it was shown.
  assert inner.bank[name][0].shape[2] == tokens
  turn = np.array([1, 0, 3, 2])
  swapped = banks.folded(
    {n: (k[turn], v[turn]) for n, (k, v) in taps.bank.items()},
    2,
  )
  np.testing.assert_allclose(see(X, swapped)[0], found, atol=1e-5)
  others = {n: (k[::-1], v[::-1]) for n, (k, v) in bank.items()}
  assert np.abs(see(X, others)[0] - found).max() > 1e-3


def test_cross_attention_is_not_shown_it(fill):
  model = net(1)
  variables = fill(model, X, T, None, np.repeat(CONTEXT, 2, 0))

  def run(bank):
    told = (X, T, None, np.repeat(CONTEXT, 2, 0))
    with hooks.seen("*/cross_0", "*/self_0") as calls:
      _, taps = model.apply(variables, *told, bank=bank, method="tapped")
    return calls, taps

  _, taps = run(None)
  with_bank, _ = run(taps.bank)
  for name, (call,) in with_bank.items():
    assert call.args[1].shape[1] == (
      3 if "cross" in name else 16 if "0_" in name.split("_attention")[0] else 4
    )


def test_a_bank_of_other_attentions_is_refused(see):
  _, taps = see(X)
  one = next(iter(taps.bank))
  with pytest.raises(ValueError, match="without"):
    see(X, {one: taps.bank[one]})
  with pytest.raises(ValueError, match="up9"):
    see(X, taps.bank | {"up9_0_attention/attn": taps.bank[one]})


def test_the_bank_is_what_attention_reads(fill):
  """One query pass by hand: softmax over own and given keys."""
  module = attention.SelfAttention(heads=2, name="attn")
  x = RNG.normal(size=(1, 3, 4)).astype(np.float32)
  params = fill(module, x)
  k = RNG.normal(size=(1, 2, 5, 2)).astype(np.float32)

  class Outer(unet.nn.Module):
    @unet.nn.compact
    def __call__(self, x, bank):
      with banks.shown(self.path, bank) as own:
        y, _ = attention.SelfAttention(heads=2, name="attn")(x)
      return y, own

  variables = {"params": {"attn": params["params"]}}
  y, own = Outer().apply(variables, x, {"attn": (k, 2 * k)})
  keys, values = own["attn"]
  _, tapped = module.apply(params, x, taps=("q", "k", "v"))
  np.testing.assert_array_equal(keys, tapped["k"])
  made = attention.attend(
    tapped["q"],
    np.concatenate([keys, k], 2),
    np.concatenate([values, 2 * k], 2),
  )
  proj = params["params"]["proj"]
  flat = np.moveaxis(np.asarray(made), 1, 2).reshape(1, 3, 4)
  expected = flat @ proj["kernel"] + proj["bias"]
  np.testing.assert_allclose(y, expected, atol=1e-5)
