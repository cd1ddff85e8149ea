"""What evaluators see: every example once, whatever batch and devices."""

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import knn
from jmim.evals import loss


@pytest.mark.parametrize("n", [1, 5, 15, 16, 17, 21, 27, 32, 40])
def test_whole_batches_hold_every_example_once(n):
  context = evalkit.context(16, n=(40, n))
  batches = list(loss.whole_batches(context, "eval", None))
  seen = np.concatenate([b["index"] for b in batches])
  assert sorted(seen) == list(range(n))
  sizes = [len(b["index"]) for b in batches]
  assert max(sizes) <= 16 and (n < 16 or min(sizes) >= 8)
  images = context.sources["eval"]
  for batch in batches:
    for index, image in zip(batch["index"], batch["image"], strict=True):
      np.testing.assert_array_equal(image, images[int(index)]["image"])


@pytest.mark.parametrize("batch", [8, 16, 24])
def test_held_out_loss_is_the_mean_over_examples(batch):
  context = evalkit.context(batch)
  values = dict(loss.Evaluator().run(context))
  data = context.sources["eval"]
  images = np.stack([data[i]["image"] for i in range(21)])
  want = context.method.tokens(
    context.tree("raw")[0], {"image": images.astype(np.float32) / 255}
  )
  np.testing.assert_allclose(values["loss"], (want**2).mean(), rtol=1e-5)
  np.testing.assert_allclose(values["double"], 2 * values["loss"], rtol=1e-6)
  assert values["examples"] == 21


def test_one_device_and_eight_and_any_batch_give_the_same_numbers():
  evaluator = knn.Evaluator(k=(3, 1))
  found = [
    dict(evaluator.run(evalkit.context(batch, devices=devices)))
    for batch, devices in ((16, 8), (8, 8), (5, 1))
  ]
  assert found[0] == found[1] == found[2]
  assert found[0]["examples"] == 21 and found[0]["top1"] > 50


def test_an_entry_of_a_dict_can_be_asked_for():
  context = evalkit.context()
  rows, _ = context.features("layers/wide", "eval", None, "raw")
  assert rows.shape == (21, 4 * evalkit.DIM)
  single, _ = context.features("features", "eval", None, "raw")
  np.testing.assert_allclose(rows.reshape(21, 4, -1).mean(1), single, rtol=1e-5)
  with pytest.raises(errors.UserError, match="first, wide"):
    context.features("layers/last", "eval", None, "raw")
