"""What is said of the data of a run, and what may not change."""

import threading

import numpy as np
import pytest
from PIL import Image

from jmim.core import errors
from jmim.data import combine
from jmim.data import formats
from jmim.data import keep
from jmim.data import sources
from jmim.data import splits
from jmim.session import data_facts


class _Console:
  def __init__(self, quiet=False):
    self.lines, self.quiet = [], quiet

  def print(self, text, style=None):
    self.lines.append((text, style))


def _source(labels, classes=()):
  labels = np.array(labels)
  source = sources.ArraySource(
    {"image": np.zeros(len(labels)), "label": labels}
  )
  source.classes = classes
  source.num_classes = len(classes) or source.num_classes
  return source


def _facts(classes, train=(0, 1), test=(0, 1)):
  both = {"train": _source(train, classes), "eval": _source(test, classes)}
  return data_facts.of(both)


def test_counts_and_classes_of_both_splits_are_printed():
  facts = _facts(("cat", "dog", "emu"), train=[0, 0, 2, 1], test=[2])
  assert data_facts.lines(facts) == [
    "data.train: 4 examples, 3 of 3 classes: cat 2, dog 1, emu 1",
    "data.eval: 1 examples, 1 of 3 classes: cat 0, dog 0, emu 1",
  ]
  many = _facts((), train=np.arange(30) % 20, test=[-1, 3])
  assert data_facts.lines(many) == [
    "data.train: 30 examples, 20 of 20 classes, 1 to 2 each",
    "data.eval: 2 examples, 1 of 20 classes, 0 to 1 each",
  ]


def test_sizes_of_pictures_are_printed_from_their_headers(tmp_path):
  for i, size in enumerate([(40, 30), (90, 31), (55, 64)]):
    (tmp_path / f"{i % 2}").mkdir(exist_ok=True)
    Image.new("RGB", size).save(tmp_path / f"{i % 2}" / f"{i}.png")
  (tmp_path / "1" / "broken.png").write_bytes(b"no picture")
  whole = sources.build("folder", "train", str(tmp_path))
  train, held = splits.hold_out(whole, 0.5)
  both, console = {"train": train, "eval": held}, _Console()
  data_facts.show(console, both, data_facts.of(both))
  said = [text for text, _ in console.lines]
  assert "data: images are 40 to 90 pixels wide, 30 to 64 high" in said


def test_headers_are_read_together_and_only_where_they_are_told(
  tmp_path, monkeypatch
):
  """On a network disk each takes as long as an answer does."""
  for i in range(4):
    Image.new("RGB", (20 + i, 8)).save(tmp_path / f"{i}.png")
  own, meet = formats.sides, threading.Barrier(4, timeout=30)

  def sides(path):
    meet.wait()  # one alone would wait for ever
    return own(path)

  monkeypatch.setattr(formats, "sides", sides)
  source = sources.build("folder", "train", str(tmp_path))
  line = "data: images are 20 to 23 pixels wide, 8 high"
  assert data_facts.sizes(source) == line
  meet.abort()  # from now on an error
  both, console = {"train": source, "eval": source}, _Console(quiet=True)
  data_facts.show(console, both, data_facts.of(both))
  assert not console.lines


def test_of_many_pictures_some_are_measured_all_over_the_folder(
  tmp_path, monkeypatch
):
  for i in range(9):
    Image.new("RGB", (20 + i, 8)).save(tmp_path / f"{i}.png")
  monkeypatch.setattr(data_facts, "_MEASURED", 3)
  source = sources.build("folder", "train", str(tmp_path))
  assert data_facts.sizes(source) == (
    "data: images are 20 to 28 pixels wide, 8 high (3 of 9 looked at)"
  )


def test_what_has_no_files_of_its_own_has_no_sizes():
  assert data_facts.sizes(_source([0, 1])) == ""


def test_without_labels_and_with_labels_that_must_be_read():
  images = sources.ArraySource({"image": np.zeros(3)})
  facts = data_facts.of({"train": images, "eval": images})
  assert data_facts.lines(facts)[0] == "data.train: 3 examples, no labels"
  images.num_classes = 7
  facts = data_facts.of({"train": images, "eval": images})
  assert data_facts.lines(facts)[0] == "data.train: 3 examples, 7 classes"


@pytest.mark.parametrize("wrap", ["plain", "cached", "mixture"])
def test_a_test_set_that_is_trained_on_is_told_loudly(wrap):
  whole = _source(np.arange(10) % 2)
  train, held = splits.Subset(whole, np.arange(8)), whole
  if wrap == "cached":
    train = combine.Cached(train, 1000)
  if wrap == "mixture":
    train = combine.Mixture([train, _source([0, 1])], (1, 1))
  both, console = {"train": train, "eval": held}, _Console()
  data_facts.show(console, both, data_facts.of(both))
  (loud,) = [text for text, style in console.lines if style == "bold red"]
  assert "8 of the 10" in loud and "SAME" in loud and "eval_share" in loud


def test_nothing_is_told_of_splits_apart():
  train, held = splits.hold_out(_source(np.arange(10) % 2), 0.2)
  both = {"train": train, "eval": held}
  assert not data_facts.warnings(both, data_facts.of(both))


@pytest.mark.parametrize(
  "train, test, named",
  [
    ([0, 2, 2], [0, 1], "dog"),
    ([0, 0], [0, 3], "3"),
    ([0, 5], [0, 3], "3"),
  ],
)
def test_a_class_that_is_only_tested_is_told(train, test, named):
  names = ("cat", "dog", "emu") if max(test) < 3 else ()
  both = {"train": _source(train, names), "eval": _source(test, names)}
  (line,) = data_facts.warnings(both, data_facts.of(both))
  assert line.endswith(f"of 1 classes that are tested: {named}")


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize(
  "before, now",
  [
    (("cat", "dog"), ("ant", "cat", "dog")),
    (("ant", "cat", "dog"), ("cat", "dog")),
    (("cat", "dog"), ("Cat", "dog")),
    (("cat", "dog"), ("dog", "cat")),
  ],
)
def test_classes_of_other_numbers_are_refused(tmp_path, before, now, refuse):
  data_facts.write(tmp_path, _facts(before))
  if refuse:
    with pytest.raises(errors.UserError, match=before[0]) as caught:
      data_facts.compare(tmp_path, _facts(now), ("image", "label"))
    assert caught.value.key == "data.data_dir"
  else:
    told = data_facts.compare(tmp_path, _facts(now), ("image",))
    assert any(repr(now[0]) in line for line in told)


def test_what_leaves_all_numbers_as_they_are_is_only_told(tmp_path):
  data_facts.write(tmp_path, _facts(("cat", "dog"), train=[0, 1, 1]))
  same = _facts(("cat", "dog"), train=[1, 0, 0])
  assert data_facts.compare(tmp_path, same, ("label",)) == []
  more = _facts(("cat", "dog", "emu"), train=[0, 1, 2, 2])
  assert data_facts.compare(tmp_path, more, ("label",)) == [
    "data.train: 3 -> 4 examples",
    "data: 2 -> 3 classes; new: emu",
  ]
  fewer = _facts(("cat",), train=[0], test=[0])
  assert data_facts.compare(tmp_path, fewer, ("label",))[-1] == (
    "data: 2 -> 1 classes; gone: dog"
  )


def test_characters_of_other_numbers_are_refused(tmp_path):
  def facts(text):
    (tmp_path / "train.txt").write_text(text)
    source = sources.build("text/char:2", "train", str(tmp_path))
    return data_facts.of({"train": source, "eval": source})

  data_facts.write(tmp_path, facts("bcbc"))
  later = facts("bcbcdd")  # a character behind the others
  assert data_facts.compare(tmp_path, later, ("tokens",)) == [
    "data.train: 2 -> 3 examples",
    "data.eval: 2 -> 3 examples",
  ]
  with pytest.raises(errors.UserError, match="1 was 'b', is 'a' now"):
    data_facts.compare(tmp_path, facts("abcabc"), ("tokens",))


def test_a_label_of_a_thousand_million_takes_no_memory():
  facts = _facts((), train=[0, 10**9])
  assert facts["train"]["counts"] is None
  assert "1000000001 classes" in data_facts.lines(facts)[0]


def test_an_older_run_has_nothing_to_compare(tmp_path):
  assert data_facts.compare(tmp_path, _facts(("cat",)), ("label",)) == []


def test_another_list_of_examples_is_told_and_none_leaves_no_trace(tmp_path):
  source, facts = _source([0, 1, 0, 1]), []
  for name in ("0 1", "2 3"):
    (tmp_path / "list.txt").write_text(name)
    part = keep.part(source, str(tmp_path / "list.txt"))
    facts.append(data_facts.of({"train": part, "eval": source}))
  data_facts.write(tmp_path, facts[0])
  assert data_facts.compare(tmp_path, facts[0]) == []
  told = data_facts.compare(tmp_path, facts[1])
  assert told == ["data.keep: another list of examples"]
  assert "keep" not in data_facts.of({"train": source, "eval": source})


def test_another_tokenizer_is_refused_where_tokens_are_learnt(tmp_path):
  def facts(name, *words):
    both = {"train": _source([0]), "eval": _source([0])}
    return data_facts.of(both, {"alphabet": list(words), "tokenizer": name})

  data_facts.write(tmp_path, facts("words:scenes", "", "a"))
  # Words behind the others change no number.
  more = facts("words:scenes", "", "a", "the")
  assert data_facts.compare(tmp_path, more, ("tokens",)) == []
  with pytest.raises(errors.UserError, match="1 was 'a', is 'the' now"):
    moved = facts("words:scenes", "", "the", "a")
    data_facts.compare(tmp_path, moved, ("tokens",))
  for other in ("bytes", "file of sha256 ab"):
    changed = f"data.tokenizer: words:scenes -> {other}"
    with pytest.raises(errors.UserError, match=changed):
      data_facts.compare(tmp_path, facts(other, "", "a"), ("tokens",))
    assert changed in data_facts.compare(tmp_path, facts(other), ("image",))
