import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import sizes
from jmim.nn.nets import token_lm

B, P, N, W = 2, 3, 4, 16
SIZE = sizes.Size(width=W, depth=1, heads=2)
NET = token_lm.TokenLM(
  size=SIZE, rows=9, outputs=6, length=N, prefix=P, post=False
)
IDS = np.random.default_rng(0).integers(0, 9, (B, P + N))


def test_tokens_are_scaled_and_each_table_has_its_places(fill):
  variables = fill(NET, IDS)
  p = variables["params"]
  out = NET.apply(variables, IDS)
  place = np.concatenate([p["pos_prefix"], p["pos_embed"]])
  want = 4 * p["embed"]["embedding"][IDS] + place
  np.testing.assert_allclose(out["embedded"], want, atol=1e-5)
  assert p["pos_prefix"].shape == (P, W) and p["pos_embed"].shape == (N, W)
  logits = np.asarray(out["latent"]) @ p["head"]["kernel"]
  np.testing.assert_allclose(out["logits"], logits, atol=1e-5)
  assert out["logits"].shape == (B, P + N, 6) and "bias" not in p["head"]


def test_what_is_skipped_is_not_scored(fill):
  variables = fill(NET, IDS)
  whole = NET.apply(variables, IDS)["logits"]
  part = NET.apply(variables, IDS, skip=P)["logits"]
  np.testing.assert_allclose(part, whole[:, P:], atol=1e-6)


def test_a_prefix_first_then_one_by_one(fill):
  variables = fill(NET, IDS)
  whole = NET.apply(variables, IDS)["logits"]
  out = NET.apply(variables, IDS[:, :P], cache=NET.empty(B))
  found = [out["logits"]]
  step = jax.jit(
    lambda ids, at, cache: NET.apply(variables, ids, at=at, cache=cache)
  )
  for at in range(P, P + N):
    out = step(IDS[:, at : at + 1], jnp.int32(at), out["cache"])
    found.append(out["logits"])
  np.testing.assert_allclose(np.concatenate(found, 1), whole, atol=2e-5)


def test_one_way_or_both(fill):
  variables = fill(NET, IDS)
  other = IDS.copy()
  other[:, -1] = (IDS[:, -1] + 1) % 9
  run = lambda net, ids: np.asarray(net.apply(variables, ids)["logits"])
  both = NET.clone(one_way=False)
  same = lambda net: np.abs(run(net, IDS) - run(net, other))[:, :-1].max()
  assert same(NET) < 1e-6 and same(both) > 1e-3
