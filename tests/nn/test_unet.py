"""What both networks are made of."""

from jmim.nn import unet


def test_blocks_are_a_number_or_one_for_each_level():
  assert unet.Layers(blocks=3).blocks_at == (3, 3, 3, 3)
  assert unet.Layers(blocks=(1, 2), multipliers=(1, 2)).blocks_at == (1, 2)


def test_depths_are_a_number_or_one_for_each_level_and_the_middle():
  assert unet.Layers(transformer=2).depth_at(3) == 2
  each = unet.Layers(transformer=(0, 1, 3), multipliers=(1, 2))
  assert [each.depth_at(level) for level in (0, 1, -1)] == [0, 1, 3]


def test_attention_follows_every_block_or_the_first():
  net = unet.Layers(attend_at=(2,))
  assert not net.attends(0, 0)
  assert net.attends(1, 0) and net.attends(1, 1)
  first = net.clone(attend_first=True)
  assert first.attends(1, 0) and not first.attends(1, 1)


def test_the_stem_is_of_the_width_or_of_the_finest_level():
  net = unet.Layers(width=8, multipliers=(3, 2))
  assert net.stem == 8 and net.clone(wide_stem=True).stem == 24
