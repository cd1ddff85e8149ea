import pytest

from jmim.nn import sizes


def test_a_variant_is_a_size_on_patches():
  dims = sizes.Dims(variant="L/14")
  assert (dims.size.width, dims.size.depth, dims.size.heads) == (1024, 24, 16)
  assert (dims.patch, dims.grid(224)) == (14, (16, 16))
  assert dims.size.blocks == 24
  size = sizes.Dims(variant="g/14").size
  assert int(size.width * size.mlp_ratio) == 6144


def test_overrides_win_and_zero_means_that_of_the_variant():
  dims = sizes.Dims(variant="g/14", width=64, heads=4)
  assert (dims.size.width, dims.size.depth, dims.size.heads) == (64, 40, 4)
  assert dims.size.width * dims.size.mlp_ratio == pytest.approx(64 * 48 / 11)
  assert sizes.Dims(variant="B/16", mlp_ratio=2.0).size.mlp_ratio == 2.0


@pytest.mark.parametrize(
  "variant",
  ["B", "B/", "B/0", "B16", "b/16", "C/16", "B/16/2", "B-16"],
)
def test_other_names_are_refused_with_the_known_ones(variant):
  with pytest.raises(ValueError, match="Ti, S, B, L, H, g") as e:
    sizes.parse(variant)
  assert repr(variant) in str(e.value)


@pytest.mark.parametrize(
  "fields, words",
  [
    (dict(variant="B/16"), "image side 40 does not divide by patch 16"),
    (dict(variant="B/8", heads=5), "width 768 does not divide by 5 heads"),
    (dict(variant="B/8", width=6, heads=3), "divide by 4"),
  ],
)
def test_what_cannot_be_built_is_named_with_its_numbers(fields, words):
  with pytest.raises(ValueError, match=words):
    sizes.Dims(**fields).check(40)


def test_without_a_table_the_width_is_free():
  sizes.Dims(variant="B/8", width=6, heads=3).check(40, table=False)


def test_blocks_name_their_prefix():
  sizes.Blocks(width=16, heads=4).check()
  with pytest.raises(ValueError, match="predictor_width 18 .* 4 predictor_h"):
    sizes.Blocks(width=18, heads=4).check("predictor_")
  assert sizes.Blocks(depth=3).size(2.0).mlp_ratio == 2.0


@pytest.mark.parametrize(
  ("section", "heads"),
  [
    (dict(dims=dict(variant="S/16")), 6),
    (dict(dims=dict(variant="S/16", heads=0)), 6),
    (dict(dims=dict(variant="S/16", heads=12)), 12),
    (dict(dims=dict(heads=12)), 12),
    (dict(dims=dict(variant="30B/1", heads=0)), None),  # of another table
    (dict(dims=dict(variant=["S"], width=8)), None),
    (dict(dims=dict(width=8)), None),
    (dict(dims="S/16"), None),
    (dict(variant="S/16"), None),
    ({}, None),
  ],
)
def test_heads_of_a_run_are_what_its_config_tells(section, heads):
  wanted = {} if heads is None else {"dims.heads": heads}
  assert sizes.heads(section) == wanted


def test_a_size_of_a_table_with_changes():
  table = {"a": sizes.Size(width=4, depth=2, heads=1)}
  assert sizes.named("a", table, width=8, depth=0).width == 8
  assert sizes.named("a", table, width=8, depth=0).depth == 2
  with pytest.raises(ValueError, match="'b' is none of a"):
    sizes.named("b", table)


def test_heads_that_no_shape_tells_are_to_agree():
  dims = sizes.Dims(variant="S/16")
  assert dims.agrees("method.x") == {"dims.heads": ("method.x.heads", 6)}
