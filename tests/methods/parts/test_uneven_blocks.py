import pytest

from jmim.core import field
from jmim.methods.parts import uneven_blocks

BODY = uneven_blocks.Backbone(
  width=32,
  depth=4,
  head=8,
  qkv_ratios=(0.5, 1.0),
  mlp_ratios=(0.5, 4.0),
  multiple=16,
  experts=4,
)
MIXER = uneven_blocks.Mixer(depth=3, width=24, mlp_ratio=2.0)


def test_parts_of_the_blocks_have_one_width_each():
  assert BODY.ratios() == ((0.5, 0.5, 1.0, 1.0), (0.5, 0.5, 4.0, 4.0))
  own = field.replace(BODY, qkv_ratios=(0.5, 0.6, 0.9, 1.0))
  assert own.ratios()[0] == (0.5, 0.6, 0.9, 1.0)
  assert [layer.inner for layer in own.layers] == [16, 32, 32, 32]


def test_every_second_block_has_experts_but_the_last_of_the_backbone():
  has = lambda layers: [bool(layer.experts) for layer in layers]
  assert has(BODY.layers) == [False, True, False, False]
  deeper = field.replace(BODY, depth=6)
  assert has(deeper.layers) == [False, True, False, True, False, False]
  mixer = field.replace(MIXER, depth=4)
  assert has(mixer.layers(BODY)) == [False, True, False, True]
  assert has(field.replace(BODY, every=5).layers) == [False] * 4
  # In every block: the first of the backbone too, that of a mixer never.
  assert has(field.replace(BODY, every=1).layers) == [True] * 3 + [False]
  every = field.replace(BODY, every=1)
  assert has(mixer.layers(every)) == [False, True, True, True]


def test_hidden_widths_are_those_of_their_kind():
  assert [layer.hidden for layer in BODY.layers] == [16, 16, 96, 96]
  wide = field.replace(BODY, mlp_ratios=(4.0,))
  assert [layer.hidden for layer in wide.layers] == [96, 128, 96, 96]
  assert BODY.text_hidden == 96
  assert [layer.hidden for layer in MIXER.layers(BODY)] == [32, 48, 32]


def test_deeper_blocks_start_smaller_and_those_of_a_mixer_smallest():
  stds = [layer.std for layer in BODY.layers]
  assert stds == sorted(stds, reverse=True)
  assert stds[0] == pytest.approx(0.02 / 2**0.5)
  assert {layer.std for layer in MIXER.layers(BODY)} == {stds[-1]}


def test_the_published_sizes_have_the_published_parts():
  """XL/2 at its ends: 0.5 to 1 of attention, 0.5 to 4 of the hidden width."""
  qkv = tuple(0.5 + 0.5 * i / 27 for i in range(28))
  mlp = tuple(0.5 + 3.5 * i / 27 for i in range(28))
  body = uneven_blocks.Backbone(qkv_ratios=qkv, mlp_ratios=mlp)
  inner = [layer.inner for layer in body.layers]
  assert inner[0] == 512 and inner[-1] == 1024 and inner == sorted(inner)
  assert body.layers[0].hidden == 512 and body.layers[-1].hidden == 2816
  assert sum(layer.experts > 0 for layer in body.layers) == 13


@pytest.mark.parametrize(
  "changes, mixer, words",
  [
    ({"head": 9}, {}, "net.backbone.width 32 .* net.backbone.head 9"),
    ({}, {"width": 25}, "net.mixer.width 25"),
    ({}, {"width": 4}, "net.mixer.width 4 is not 0 equal heads"),
    ({"qkv_ratios": (1.0, 1.0, 1.0)}, {}, "net.backbone.qkv_ratios"),
    ({"mlp_ratios": ()}, {}, "net.backbone.mlp_ratios"),
    ({"mlp_ratios": (0.0, 1.0)}, {}, "net.backbone.mlp_ratios"),
    ({"capacity": 0.9}, {}, "net.backbone.experts, .* 0 of 4 tokens"),
    ({"capacity": 5.0}, {}, "5 of 4 tokens"),
  ],
)
def test_what_cannot_be_built_is_refused(changes, mixer, words):
  BODY.check(16, 4, MIXER, "net.")
  body, mixer = field.replace(BODY, **changes), field.replace(MIXER, **mixer)
  with pytest.raises(ValueError, match=words):
    body.check(16, 4, mixer, "net.")


def test_a_width_without_a_table_is_refused():
  body = uneven_blocks.Backbone(width=6, head=3, depth=1)
  with pytest.raises(ValueError, match="divide by 4"):
    body.check(16, 16, uneven_blocks.Mixer(depth=0))


def test_places_count_where_there_are_experts_only():
  body = field.replace(BODY, capacity=0.9)
  body = field.replace(body, every=4)  # the last of the backbone has none
  body.check(16, 4, MIXER)
