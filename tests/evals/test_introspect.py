import evalkit
import numpy as np
import pytest

from jmim.evals import introspect
from jmim.metrics import representation


def test_numbers_and_pictures_of_an_encoder():
  context = evalkit.context()
  found = dict(introspect.Evaluator(limit=21, examples=3).run(context))
  features, _ = context.features("features", "eval", 21, "raw")
  np.testing.assert_allclose(
    found["rank"], representation.effective_rank(features), rtol=1e-4
  )
  first, wide = (
    context.features(f"layers/{n}", "eval", 21, "raw")[0]
    for n in ("first", "wide")
  )
  np.testing.assert_allclose(
    found["cka_first_wide"], representation.linear_cka(first, wide), rtol=1e-4
  )
  distances = [k for k in found if k.startswith("distance")]
  assert len(distances) == 2 * 2  # layers, heads
  assert all(0 <= found[k] <= 2 * 2**0.5 for k in distances)
  maps, _ = context.rows("attention", "eval", 21, "raw")
  patches = representation.among_patches(maps, (4, 4))
  want = representation.mutual_information(patches).mean(0)
  for layer, head in np.ndindex(2, 2):
    value = found[f"nmi_layer{layer + 1}_head{head + 1}"]
    np.testing.assert_allclose(value, want[layer, head], rtol=1e-4)
  for name in ("tokens", "cka"):
    assert found[name].dtype == np.uint8 and found[name].ndim == 3


def test_outputs_that_a_method_lacks_can_be_left_out():
  evaluator = introspect.Evaluator(layers="", attention="", limit=21)
  assert evaluator.needs() == ("tokens", "features")
  found = dict(evaluator.run(evalkit.context()))
  assert set(found) == {"rank", "tokens"}


@pytest.mark.parametrize("prefix", [0, 1])
def test_what_the_cls_token_or_the_mean_query_attends_to(prefix):
  t = 4 + prefix
  maps = np.random.default_rng(0).random((2, 3, t, t))
  received = introspect._received(maps, (2, 2))
  assert received.shape == (2, 3, 2, 2)
  row = maps[:, :, 0, 1:] if prefix else maps.mean(2)
  np.testing.assert_allclose(received.reshape(2, 3, 4), row)


def test_the_neighbours_of_the_cka_are_its_first_diagonal():
  context = evalkit.context()
  rows = [
    context.features(f"layers/{n}", "eval", 21, "raw")[0]
    for n in ("first", "wide")
  ]
  values = dict(introspect.Evaluator(limit=21)._similarity(context))
  picture = values["cka"]
  assert picture.shape == (48, 48, 3)  # two layers, 24 pixels each
  np.testing.assert_array_equal(picture[0, 0], picture[-1, -1])  # 1 with itself
  for name, x in zip(("first", "wide"), rows, strict=True):
    assert values[f"rank_{name}"] == representation.effective_rank(x)
