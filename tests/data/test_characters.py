import numpy as np

from jmim.data import characters


def test_the_order_is_the_published_one():
  """That of `char_vocab.json`: 95, of which these are some."""
  known = characters.SYMBOLS
  assert len(known) == len(set(known)) == 95
  assert known[:12] == " 0123456789a" and known[36:38] == "zA"
  assert known[62:] == "Z!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
  assert set(known) == {chr(i) for i in range(32, 127)}


def test_words_are_filled_up_cut_off_and_come_back():
  found = characters.numbers("aZ~", 5)
  np.testing.assert_array_equal(found, [11, 62, 94, 0, 0])
  assert found.dtype == np.int32 and characters.text(found) == "aZ~"
  assert characters.text(characters.numbers("Hello you", 5)) == "Hello"
  assert len(characters.numbers("")) == 20
  whole = characters.numbers(characters.SYMBOLS, 95)
  np.testing.assert_array_equal(whole, np.arange(95))


def test_what_is_unknown_is_a_space():
  np.testing.assert_array_equal(characters.numbers("aé\n1", 4), [11, 0, 0, 2])
