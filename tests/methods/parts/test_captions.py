import jax
import numpy as np
import pytest

from jmim.methods.parts import captions

CLOSED = captions.Captions(of=("a one", "a red two", "three"))
OPEN = captions.Captions(length=4, words=9, begin=7, end=8, pad=8, weighed=True)


def test_captions_of_labels_are_words_of_a_closed_list():
  words = ("a", "one", "red", "three", "two")
  assert CLOSED.vocabulary == (*captions.SPECIAL, *words)
  assert (CLOSED.size, CLOSED.longest) == (8, 3)
  batch = {"label": np.array([1, 0, 2])}
  tokens = jax.jit(CLOSED.tokens)(batch)
  np.testing.assert_array_equal(tokens, [[3, 5, 7], [3, 4, 0], [6, 0, 0]])
  said = [CLOSED.written(row) for row in np.asarray(tokens)]
  assert said == ["a red two", "a one", "three"]
  assert set(CLOSED.inputs()) == {"label"} and CLOSED.reads() == ()


def test_a_text_is_read_after_its_begin_and_said_to_its_end():
  texts = CLOSED.texts({"label": np.array([1, 0])})
  np.testing.assert_array_equal(texts.inputs, [[1, 3, 5, 7], [1, 3, 4, 0]])
  np.testing.assert_array_equal(texts.targets, [[3, 5, 7, 2], [3, 4, 2, 0]])
  present = [[1, 1, 1, 1], [1, 1, 1, 0]]
  np.testing.assert_array_equal(texts.present, present)
  np.testing.assert_array_equal(texts.weight, present)


def test_tokens_of_a_batch_may_have_weights():
  batch = {
    "tokens": np.array([[1, 2, 8, 3], [1, 2, 3, 4], [8, 8, 8, 8]]),
    "learnt": np.array([[0, 1, 1, 1], [0, 0, 1, 0.5], [1, 1, 1, 1]], "f4"),
  }
  texts = OPEN.texts(batch)
  want = [[1, 2, 8, 3, 8], [1, 2, 3, 4, 8], [8, 8, 8, 8, 8]]
  np.testing.assert_array_equal(texts.targets[0, :3], want[0][:3])
  np.testing.assert_array_equal(texts.targets[1:], want[1:])
  # The end is always learned, what stands behind it never.
  weight = [[0, 1, 1, 0, 0], [0, 0, 1, 0.5, 1], [1, 0, 0, 0, 0]]
  np.testing.assert_array_equal(texts.weight, weight)
  assert set(OPEN.inputs()) == {"tokens", "learnt"}
  assert OPEN.reads() == ("tokens",)


def test_a_prompt_stands_for_tokens_that_are_not_there():
  part = captions.Captions(
    length=4, words=9, begin=7, end=8, pad=0, prompt=(5,)
  )
  tokens = part.tokens({"index": np.arange(3)})
  np.testing.assert_array_equal(tokens, [[5, 0, 0, 0]] * 3)
  own = {"tokens": np.ones((1, 4), int)}
  np.testing.assert_array_equal(part.tokens(own), own["tokens"])
  assert part.reads() == ()


def test_what_follows_an_end_is_cut():
  said = np.array([[3, 2, 4], [3, 4, 5], [3, 0, 4]])
  want = [[3, 0, 0], [3, 4, 5], [3, 0, 0]]
  np.testing.assert_array_equal(CLOSED.cut(said), want)
  assert OPEN.written([3, 8, 8]) == "3"
  asked = np.array([[3, 2, -1], [-1, -1, -1], [-1, -1, -1]])
  np.testing.assert_array_equal(CLOSED.cut(said, asked), [[3, 2, 4], *want[1:]])


@pytest.mark.parametrize(
  ("fields", "text"),
  [
    (
      dict(of=("one",), prompt=(1,)),
      "text.of with text.weighed or text.prompt",
    ),
    (dict(of=("one", "")), "empty caption"),
    (dict(words=9), "text.begin 151644 of text.words 9"),
    (dict(length=1, prompt=(1, 2)), r"text.prompt \(1, 2\): at most text.len"),
    (dict(prompt=(151_936,)), "text.prompt"),
  ],
)
def test_mistakes(fields, text):
  with pytest.raises(ValueError, match=text):
    captions.Captions(**fields).inputs()
