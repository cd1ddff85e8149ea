"""Examples without a label, in what needs one."""

import itertools
import logging

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data import sources
from jmim.evals import accuracy
from jmim.evals import attentive
from jmim.evals import fewshot
from jmim.evals import knn
from jmim.evals import linear
from jmim.evals import loss
from jmim.evals import probe
from jmim.evals.lib import labelled


class Unlabelled(evalkit.Everything):
  """The same, as one that reads no labels."""

  def inputs(self):
    return {"image": super().inputs()["image"]}


EVALUATORS = [
  knn.Evaluator(k=(3,)),
  probe.Evaluator(reference=False),
  fewshot.Evaluator(shots=(2,), seeds=1),
  accuracy.Evaluator(),
]


def _arrays(n, seed):
  data = evalkit.source(n, seed)
  classes = np.array([data[i]["label"] for i in range(n)])
  return evalkit.images(data), classes


def _data(hidden, left_out):
  """Splits in which some examples have no label, or are not there at all."""
  made = {}
  for split, n, seed in (("train", 40, 0), ("eval", 21, 1)):
    image, classes = _arrays(n, seed)
    where = np.arange(n) % 3 == 0
    if left_out:
      image, classes = image[~where], classes[~where]
    elif hidden:
      classes = np.where(where, -1, classes)
    arrays = {"image": image, "label": classes}
    made[split] = sources.ArraySource(arrays, evalkit.CLASSES)
  return made


@pytest.mark.parametrize("model", [evalkit.Everything, Unlabelled])
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_numbers_are_those_of_the_labelled_examples(evaluator, model, caplog):
  if isinstance(evaluator, fewshot.Evaluator):
    # The draw of the few is one of positions; all of them leave no choice.
    evaluator = fewshot.Evaluator(shots=(40,), seeds=1)
  run = lambda hidden, left: evalkit.numbers(
    evaluator, evalkit.context(data=_data(hidden, left), model=model)
  )
  with caplog.at_level(logging.WARNING):
    want = run(False, True)
    assert "no label" not in caplog.text
    got = run(True, False)
  assert got == pytest.approx(want, rel=1e-4)
  assert "7 of 21 examples of data.eval_split have no label" in caplog.text
  if not isinstance(evaluator, accuracy.Evaluator):
    assert "14 of 40 examples of data.train_split" in caplog.text


@pytest.mark.parametrize(
  "evaluator",
  [
    linear.Evaluator(
      predict=("layers",), lrs=(100.0,), epochs=40, warmup_epochs=1.0
    ),
    attentive.Evaluator(lrs=(3e-3,), epochs=20, warmup_epochs=1.0),
  ],
)
def test_probes_that_are_trained_see_labelled_examples_only(evaluator, caplog):
  with caplog.at_level(logging.WARNING):
    values = dict(
      evaluator.run(evalkit.context(data=_data(True, False), model=Unlabelled))
    )
  assert values["examples"] == 14 and values["top1"] > 50
  assert "of 40 examples of data.train_split have no label" in caplog.text
  assert "7 of 21 examples of data.eval_split have no label" in caplog.text


def test_the_loss_is_that_of_the_labelled_examples():
  run = lambda hidden, left: dict(
    loss.Evaluator().run(evalkit.context(data=_data(hidden, left)))
  )
  assert run(True, False) == pytest.approx(run(False, True), rel=1e-5)


@pytest.mark.parametrize(
  "evaluator", [*EVALUATORS, linear.Evaluator(predict=("features",), epochs=3)]
)
def test_no_label_at_all_is_an_error(evaluator):
  data = _data(True, False)
  image = evalkit.images(data["train"])
  none = {"image": image, "label": np.full(len(image), -1)}
  split = "eval" if isinstance(evaluator, accuracy.Evaluator) else "train"
  data[split] = sources.ArraySource(none, evalkit.CLASSES)
  with pytest.raises(errors.UserError, match=f"none of .*{split}_split"):
    dict(evaluator.run(evalkit.context(data=data, model=Unlabelled)))


def _stream(values, batch):
  for start in itertools.count(0, batch):
    index = np.arange(start, start + batch) % len(values)
    yield {"label": np.array(values)[index], "index": index}


@pytest.mark.parametrize("values", [[0, -1, 2], [-1, -1, -1, 3, 4, -1, 1]])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_are_filled_up_in_order(values, batch):
  stream = labelled.batches(_stream(values, batch), len(values))
  got = [next(stream)["label"] for _ in range(8)]
  assert all(len(x) == batch for x in got)
  kept = [y for y in values if y >= 0] * 8 * batch
  assert np.concatenate(got).tolist() == kept[: 8 * batch]


def test_whole_batches_are_handed_on():
  given = list(itertools.islice(_stream([0, 1, 2], 2), 4))
  got = itertools.islice(labelled.batches(iter(given), 3), 4)
  assert all(a is b for a, b in zip(given, got, strict=True))


def test_what_is_no_label_is_named():
  with pytest.raises(errors.UserError, match=r"float32\[\]"):
    labelled.those(np.zeros(3, np.float32), "train")
  with pytest.raises(errors.UserError, match=r"int32\[4\]"):
    labelled.those(np.zeros((3, 4), np.int32), "eval")
  with pytest.raises(errors.UserError, match="without 'label'"):
    labelled.check({"image": 0}, "image", "label")


@pytest.mark.parametrize(("elsewhere", "fails"), [(0, True), (2, False)])
def test_a_host_without_labels_asks_the_others(elsewhere, fails):
  batch = {"label": np.full(3, -1), "valid": np.array([True, True, False])}
  other = 5  # examples of another host, of which some have a label
  total = lambda *mine: [mine[0] + other - elsewhere, mine[1] + other]
  batches = labelled.valid(iter([batch]), "eval", total)
  assert not next(batches)["valid"].any()
  if fails:
    with pytest.raises(errors.UserError, match="none of the 7 examples"):
      next(batches)
  else:
    assert next(batches, None) is None
