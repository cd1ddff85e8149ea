"""What evaluators see: every example once, whatever batch and devices."""

import evalkit
import jax
import numpy as np
import pytest

from jmim.core import errors


def test_an_entry_of_a_dict_can_be_asked_for():
  context = evalkit.context()
  rows, _ = context.features("layers/wide", "eval", None, "raw")
  assert rows.shape == (21, 4 * evalkit.DIM)
  single, _ = context.features("features", "eval", None, "raw")
  np.testing.assert_allclose(rows.reshape(21, 4, -1).mean(1), single, rtol=1e-5)
  with pytest.raises(errors.UserError, match="first, wide"):
    context.features("layers/last", "eval", None, "raw")


@pytest.mark.parametrize("batch, devices", [(16, 8), (8, 8), (5, 1)])
def test_rows_are_the_outputs_of_every_example_once(batch, devices):
  context = evalkit.context(batch, devices=devices)
  rows, index = context.rows("tokens", "eval", None, "raw")
  assert sorted(index) == list(range(21))
  images = evalkit.images(context.sources["eval"]).astype(np.float32) / 255
  want = context.method.tokens(context.weights("raw"), {"image": images})
  np.testing.assert_allclose(
    rows, np.asarray(want)[index], rtol=1e-4, atol=1e-6
  )
  pixels, index = context.rows("pixels", "eval", 7, "raw")
  assert len(index) == 7
  np.testing.assert_allclose(pixels, images[index], rtol=1e-6)


def test_outputs_come_without_fillers_each_batch_with_the_next_key():
  context = evalkit.context(batch=8)
  parts = list(
    context.outputs(
      "noise", "eval", None, "raw", entries=("index", "label"), key=3
    )
  )
  assert [len(out) for out, _ in parts] == [8, 8, 5]
  batches = list(context.batches("eval"))
  for i, ((out, entries), batch) in enumerate(zip(parts, batches, strict=True)):
    whole = context.apply("noise", batch, "raw", key=3 + i)
    np.testing.assert_array_equal(out, whole[batch["valid"]])
    np.testing.assert_array_equal(
      entries["label"], batch["label"][batch["valid"]]
    )
  assert not np.array_equal(parts[0][0], parts[1][0])


def test_shapes_are_found_without_computing(monkeypatch):
  context = evalkit.context()
  monkeypatch.setattr(context, "_run", None)
  assert context.shape("tokens") == (2, 2, evalkit.DIM)
  assert context.widths(("cls", "layers")) == {
    "cls": evalkit.DIM,
    "layers/first": evalkit.DIM,
    "layers/wide": 4 * evalkit.DIM,
  }


def test_weights_are_those_of_the_state_or_of_the_start():
  context = evalkit.context()
  raw = context.weights("raw")
  double = jax.tree.map(lambda x: 2 * x, raw.params)
  context.start(evalkit.state(raw.params, {"a": 1}, step=5, ema=double))
  assert context.step == 5 and context.weights("ema").extra == {"a": 1}
  np.testing.assert_array_equal(
    *(jax.tree.leaves(x)[0] for x in (context.weights("ema").params, double))
  )
  untrained = context.weights("untrained")
  assert untrained is context.weights("untrained")
  assert (
    jax.tree.leaves(untrained.params)[0] != jax.tree.leaves(raw.params)[0]
  ).any()
  context.stop()
  with pytest.raises(KeyError):
    context.weights("raw")


def test_features_are_remembered_until_the_state_changes(monkeypatch):
  context, calls = evalkit.context(), []
  apply = context.apply

  def counted(name, batch, weights, key=0):
    calls.append(weights)
    return apply(name, batch, weights, key)

  monkeypatch.setattr(context, "apply", counted)
  for _ in range(2):
    context.features("features", "eval", None, "raw")
    context.features("features", "eval", None, "untrained")
  assert calls == ["raw"] * 2 + ["untrained"] * 2  # of two batches
  raw = context.weights("raw")
  context.start(evalkit.state(raw.params, raw.extra, step=1))
  context.features("features", "eval", None, "raw")
  context.features("features", "eval", None, "untrained")
  assert calls[4:] == ["raw"] * 2  # the untrained one never changes


def test_what_no_state_changes_is_made_once():
  context, made = evalkit.context(), []
  for key in ("a", "a", "b"):
    assert context.once(key, lambda key=key: made.append(key) or key) == key
  assert made == ["a", "b"]


def test_other_data_under_the_same_weights():
  context = evalkit.context()
  context.once("a", lambda: 1)
  other = context.on({"train": None, "eval": evalkit.source(5, 9)})
  assert len(other.rows("cls", "eval", None, "raw")[0]) == 5
  assert len(context.rows("cls", "eval", None, "raw")[0]) == 21
  assert other.once("a", lambda: 2) == 2


def test_pixels_are_rounded_and_clipped():
  shown = evalkit.context().pixels(np.array([[[[-1.0, 0.5, 2.0]]]]))
  assert shown.dtype == np.uint8 and shown.ravel().tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(value):
  images = np.zeros((3, 2, 2, 3))
  images[1, 0, 1] = value
  with pytest.raises(errors.UserError, match="1 of 3 images"):
    evalkit.context().pixels(images)


def test_a_split_of_its_own_to_fit_on():
  own = evalkit.source(7, 5, 4)
  context = evalkit.context(n=(40, 21))
  assert context.fitted_on("") is context
  context.splits = {"labelled": own}
  other = context.fitted_on("labelled")
  ask = lambda over, split: over.features("features", split, None, "raw")
  assert len(ask(context, "train")[1]) == 40
  np.testing.assert_array_equal(ask(other, "train")[1], own.column("label"))
  assert ask(other, "eval")[0] is ask(context, "eval")[0]  # made once
