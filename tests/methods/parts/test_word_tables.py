import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import word_tables

INDEX = {name: i for i, name in enumerate(word_tables.VOC)}


def test_the_tables_are_those_of_the_authors():
  """aff_prepare.py and save_cross_attention, copied by hand."""
  rows = word_tables.rows("voc")
  assert rows.shape == (20, 5)
  wanted = {
    "bird": (45, 53, 0.06, -0.04, 0.02),
    "person": (48, 55, 0.01, 0.06, 0.06),
    "sofa": (48, 58, 0.06, -0.01, 0.07),
    "aeroplane": (48, 53, 0.06, -0.02, 0.05),
    "boat": (48, 53, 0.06, -0.02, 0.05),
    "diningtable": (55, 64, 0.06, -0.04, 0.04),
  }
  for name, row in wanted.items():
    np.testing.assert_allclose(rows[INDEX[name]], np.float32(row))
  sides = word_tables.sides("voc", (16, 32, 64))
  found = {n: sides[i] for n, i in INDEX.items() if len(sides[i]) == 1}
  assert found == {
    "diningtable": (16,),
    "sofa": (8,),
    "train": (8,),
    "tvmonitor": (8,),
  }
  assert sides[INDEX["dog"]] == (16, 32, 64)


def test_without_a_table_all_classes_are_alike():
  batch = {"label": jnp.array([3, 17])}
  np.testing.assert_array_equal(word_tables.label("voc", batch), [3, 17])
  np.testing.assert_array_equal(word_tables.label("plain", batch), [0, 0])
  assert word_tables.sides("plain", (2,)) == [(2,)]
  plain, voc = word_tables.rows("plain"), word_tables.rows("voc")
  np.testing.assert_array_equal(plain[0], voc[INDEX["cat"]])


def test_every_class_has_words():
  words = word_tables.words()
  assert len(words) == 20 and all(words)
  assert words[INDEX["bird"]] == "bird"
  assert "woman" in words[INDEX["person"]].split()
