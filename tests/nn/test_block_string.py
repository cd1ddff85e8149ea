import pytest

from jmim.nn import block_string

Layer = block_string.Layer
WIDTH = {8: 64, 4: 32, 1: 16}


def test_words_are_blocks_means_repetitions_and_transitions():
  block = Layer(side=8)
  assert block_string.parse("8x1,8d2,8t4") == (
    block,
    Layer(side=8, down=2),
    Layer(side=8, to=4),
  )
  assert block_string.parse("8x3") == 3 * (block,)
  assert block_string.parse("8") == (block,)
  assert block_string.parse("1u4, 16") == (
    Layer(side=1, up=4),
    Layer(side=16),
  )
  assert block_string.widths("8:64, 4:32,1:16") == WIDTH


@pytest.mark.parametrize("text", ["", "8q2", "8x", "x2", "8x0", "08", "8d2d2"])
def test_other_words_are_refused(text):
  with pytest.raises(ValueError, match="as in 8x3"):
    block_string.parse(text)


@pytest.mark.parametrize("text", ["", "8", "8:", "8:0", "8=64"])
def test_other_widths_are_refused(text):
  with pytest.raises(ValueError, match="side:channels"):
    block_string.widths(text)


def test_the_published_strings_lead_to_a_code_and_back():
  """CIFAR-10's; 30 blocks down (means are of theirs) and 28 up."""
  width = block_string.widths("32:64,16:128,8:256,4:256,1:512")
  down = block_string.parse(
    "32x7,32d2,32t16,16x4,16d2,16t8,8x4,8d2,8t4,4x3,4d4,4t1,1x3"
  )
  up = block_string.parse(
    "1x1,1u4,1t4,4x2,4u2,4t8,8x3,8u2,8t16,16x7,16u2,16t32,32x15"
  )
  assert block_string.walk(down, width, "e") == 1
  assert block_string.walk(up, width, "d") == 32
  blocks = lambda layers: sum(not (x.up or x.to) for x in layers)
  assert (blocks(down), blocks(up)) == (7 + 4 + 4 + 3 + 3 + 4, 28)


@pytest.mark.parametrize(
  "text, said",
  [
    ("8d2,4x1", "64 channels at side 4, and a layer of 32"),
    ("8x1,4x1", "a layer of side 4 at side 8"),
    ("8t4,4x1", "a layer of side 4 at side 8"),
    ("8d3", "means of 3 at side 8"),
    ("16x1", "side 16 has no width in e_widths"),
    ("8t2", "side 2 has no width"),
    ("4t1,4t1", "16 channels at side 4, and a layer of 32"),
  ],
)
def test_layers_that_do_not_follow_are_named(text, said):
  with pytest.raises(ValueError, match=said):
    block_string.walk(block_string.parse(text), WIDTH, "e")


def test_equal_widths_need_no_transition():
  layers = block_string.parse("8d2,4d4,1")
  assert block_string.walk(layers, {8: 6, 4: 6, 1: 6}, "e") == 1
