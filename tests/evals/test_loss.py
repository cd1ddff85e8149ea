import evalkit
import numpy as np
import pytest

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
  images = evalkit.images(context.sources["eval"])
  tokens = context.method.tokens(
    context.weights("raw"), {"image": images.astype(np.float32) / 255}
  )
  np.testing.assert_allclose(values["loss"], (tokens**2).mean(), rtol=1e-5)
  np.testing.assert_allclose(values["double"], 2 * values["loss"], rtol=1e-6)
  assert values["examples"] == 21 and "each" not in values


def test_it_asks_for_no_output_of_the_method():
  assert loss.Evaluator(predict="nothing").needs() == ()
