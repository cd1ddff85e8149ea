import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.nn import hooks
from jmim.nn import spatial
from jmim.nn.nets import unet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
T = np.array([3.0, 700.0])
DIMS = unet.Dims(
  width=8,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(2,),
  heads=2,
  norm_groups=4,
  dropout=0.0,
)


def net(**fields):
  return unet.UNet(
    width=8,
    multipliers=(1, 2),
    blocks=1,
    attend_at=(2,),
    heads=2,
    groups=4,
    **fields,
  )


def test_the_prediction_starts_at_zero():
  start = jax.jit(net().init_with_output)
  found, variables = start(jax.random.key(0), X, T)
  assert not np.asarray(found).any() and found.shape == X.shape
  assert "conv_out" in variables["params"]


@pytest.mark.parametrize("updown", [False, True])
def test_time_and_label_reach_every_pixel(fill, updown):
  model = net(classes=3, updown=updown, scale_shift=updown)
  label = np.array([0, 2])
  variables = fill(model, X, T, label)
  apply = jax.jit(lambda t, y: model.apply(variables, X, t, y))
  found = apply(T, label)
  assert np.abs(apply(T + 50, label) - found).max(-1).min() > 1e-4
  none = apply(T, np.array([0, 3]))  # `classes` is none
  np.testing.assert_allclose(none[0], found[0], atol=1e-5)
  assert np.abs(none[1] - found[1]).max() > 1e-4


def test_heads_are_so_many_or_so_wide_and_may_differ_going_up():
  assert net().heads_at(1) == 2
  assert net(up_heads=4).heads_at(1, up=True) == 4
  wide = unet.UNet(width=16, multipliers=(1, 2), heads=0, head_width=8)
  assert wide.heads_at(1) == wide.heads_at(-1, up=True) == 4
  each = wide.clone(heads=(2, 8))
  assert [each.heads_at(level) for level in (0, 1, -1)] == [2, 8, 8]


def test_a_level_without_a_transformer_has_self_attention():
  """Of several depths, 0 is what it is of one."""
  model = net(transformer=(0, 1, 0)).clone(attend_at=(1, 2))
  shapes = jax.eval_shape(
    model.init, jax.random.key(0), X, T, context=np.zeros((2, 3, 4))
  )["params"]
  parts = {n: set(x) for n, x in shapes.items() if n.endswith("_attention")}
  plain = {n for n, own in parts.items() if own == {"norm", "attn"}}
  assert plain == {
    "down0_0_attention",
    "up0_0_attention",
    "up0_1_attention",
    "middle_attention",
  }
  assert "proj_in" in parts["down1_0_attention"]


def test_resampling_without_convolutions_has_no_parameters():
  names = lambda **f: set(
    jax.eval_shape(net(**f).init, jax.random.key(0), X, T)["params"]
  )
  convolutions = {"down0_conv", "up1_conv"}
  assert convolutions <= names()
  assert not convolutions & names(resample_conv=False)
  assert {"down0_half", "up1_twice"} <= names(updown=True)


def test_dims_make_the_network_they_name():
  made = DIMS.net(out=5, classes=2)
  assert made == net(out=5, classes=2)
  DIMS.check(8)


@pytest.mark.parametrize(
  "fields, side, seen",
  [
    ({}, 7, "does not divide by 2"),
    (dict(heads=3), 8, "by 3 heads"),
    (dict(heads=0, head_width=5), 8, "head_width 5"),
    (dict(norm_groups=3), 8, "3 norm_groups"),
    (dict(level_blocks=(1, 2, 3)), 8, "level_blocks"),
    (dict(level_blocks=(1, 0)), 8, "at least 1"),
    (dict(level_heads=(1,)), 8, "level_heads"),
    (dict(level_heads=(1, 5)), 8, "by 5 heads"),
  ],
)
def test_dims_that_cannot_be_built_are_refused(fields, side, seen):
  with pytest.raises(ValueError, match=seen):
    dataclasses.replace(DIMS, **fields).check(side)


def test_a_context_is_needed_by_a_transformer(fill):
  model = net(transformer=1)
  context = RNG.normal(size=(2, 3, 6)).astype(np.float32)
  variables = fill(model, X, T, None, context)
  apply = jax.jit(lambda c: model.apply(variables, X, T, None, c))
  moved = np.abs(apply(context + 1.0) - apply(context))
  assert moved.max() > 1e-4
  assert jnp.isfinite(moved).all()


SCALED = dict(updown=True, scale_shift=True)
BRANCH = dataclasses.replace(DIMS, **SCALED).branch()


def test_contexts_by_name_are_those_of_one_without(fill):
  """Two branches alike give what one gives, wherever there is attention."""
  context = RNG.normal(size=(2, 5, 6)).astype(np.float32)
  one = net(transformer=1)
  variables = fill(one, X, T, context=context)
  found = one.apply(variables, X, T, context=context)
  text, char = (spatial.Context(name) for name in ("text", "char"))
  named = one.clone(contexts=(text,))
  same = named.apply(variables, X, T, context={"text": context})
  np.testing.assert_array_equal(same, found)
  both = {
    name: {"text": layer, "char": layer} if "attention" in name else layer
    for name, layer in variables["params"].items()
  }
  two, given = one.clone(contexts=(text, char)), {"text": context}
  alone = two.apply({"params": both}, X, T, context=given)
  np.testing.assert_array_equal(alone, found)
  given["char"] = context
  twice = two.apply({"params": both}, X, T, context=given)
  np.testing.assert_allclose(twice, found, atol=1e-5)
  given["char"] = context[:, :3] + 1
  other = two.apply({"params": both}, X, T, context=given)
  assert np.abs(other - found).max() > 1e-3


def test_taps_are_what_the_way_up_reads(fill):
  """The network's own way up, with its parameters, as a branch of itself."""
  model = net(**SCALED)
  variables = fill(model, X, T)
  found, taps = model.apply(variables, X, T, method="tapped")
  np.testing.assert_array_equal(found, model.apply(variables, X, T))
  branch = BRANCH
  np.testing.assert_allclose(
    branch.apply(variables, taps.skips, taps.emb), found, atol=1e-6
  )
  assert [x.shape[1] for x in taps.skips] == [8, 8, 4, 4]
  stops = model.clone(upward=False)
  np.testing.assert_array_equal(stops.apply(variables, X, T), taps.middle)
  names = set(jax.eval_shape(stops.init, jax.random.key(0), X, T)["params"])
  assert not any(n.startswith(("up", "norm_out", "conv_out")) for n in names)


@pytest.mark.parametrize("transformer", [0, 2])
def test_taps_of_attention_are_named_by_their_parameters(fill, transformer):
  model = net(transformer=transformer, attend_first=True)
  model = model.clone(blocks=(1, 2))
  context = RNG.normal(size=(2, 3, 6)).astype(np.float32)
  variables = fill(model, X, T, None, context)
  options = {"method": "tapped"}
  _, taps = model.apply(variables, X, T, None, context, **options)
  names = {n.rpartition("/")[0] for n in trees.named(variables["params"])}
  parents = {n.rpartition("/")[0] for n in names}
  assert set(taps.attention) <= parents
  # The first block of level 1, down and up, and the middle.
  assert len(taps.attention) == 3 * max(1, transformer)
  assert {x.shape for x in taps.attention.values()} == {(2, 16, 16)}


@pytest.mark.parametrize("code", ["added", "scale", "gain"])
def test_a_code_reaches_every_pixel(fill, code):
  model, z = net(code=code, scale_shift=True), RNG.normal(size=(2, 5))
  variables = fill(model, X, T, code=z)
  apply = jax.jit(lambda z: model.apply(variables, X, T, code=z))
  moved = np.abs(apply(z + 1.0) - apply(z)).max(-1)
  assert moved.min() > 1e-4
  with pytest.raises(ValueError, match="code"):
    model.apply(variables, X, T)
  with pytest.raises(ValueError, match="code"):
    net().init(jax.random.key(0), X, T, code=z)


def test_a_branch_reads_given_skips_and_starts_at_zero(fill):
  model, z = net(**SCALED), RNG.normal(size=(2, 5)).astype(np.float32)
  _, taps = model.apply(fill(model, X, T), X, T, method="tapped")
  branch = BRANCH.clone(code="scale")
  start = jax.jit(branch.init_with_output)
  found, variables = start(jax.random.key(0), taps.skips, taps.emb, code=z)
  assert not np.asarray(found).any()
  names = set(variables["params"])
  assert "code_embed" in names and "time_embed" not in names
  assert not any(n.startswith("down") for n in names)
  with pytest.raises(ValueError, match="no embedding"):
    branch.clone(code="added").apply(variables, taps.skips, taps.emb, code=z)


class Doubled(nn.Module):
  """Stands where attention does: twice the map, whatever the context."""

  heads: int
  groups: int
  factor: int
  rt: object

  @nn.compact
  def __call__(self, x, context):
    assert x.shape[1] * self.factor == X.shape[1]
    return x * self.param("two", lambda _: 2 * jnp.ones(())), {"own": x}


def test_another_mixer_of_maps_stands_where_attention_does():
  model = net(mixer=Doubled)
  variables = jax.jit(model.init)(jax.random.key(0), X, T)
  mixers = {n for n in variables["params"] if n.endswith("_attention")}
  assert all(list(variables["params"][n]) == ["two"] for n in mixers)
  _, taps = model.apply(variables, X, T, method="tapped")
  assert set(taps.attention) == {f"{n}/own" for n in mixers}
  np.testing.assert_allclose(
    taps.skips[-1], 2 * taps.attention["down1_0_attention/own"]
  )


def test_heads_are_checked_where_there_is_attention():
  """The middle, as wide as the coarsest level, always has it."""
  small = dict(width=16, multipliers=(1, 2), norm_groups=4, heads=0)
  unet.Dims(**small, attend_at=(2,), head_width=32).check(8)
  unet.Dims(**small, attend_at=(), head_width=32).check(8)
  with pytest.raises(ValueError, match="width 16 .* head_width 32"):
    unet.Dims(**small, attend_at=(1,), head_width=32).check(8)
  with pytest.raises(ValueError, match="width 32 .* head_width 24"):
    unet.Dims(**small, attend_at=(), head_width=24).check(8)


def test_scales_are_the_last_maps_of_every_level(fill):
  """As its modules leave them: down, middle, up."""
  model = unet.UNet(
    width=8,
    multipliers=(1, 2),
    blocks=(2, 1),
    attend_at=(2,),
    heads=2,
    groups=4,
  )
  variables = fill(model, X, T)

  @jax.jit
  def run():
    names = ("down0_1", "down1_0_attention", "middle_1", "up1_1_attention")
    with hooks.seen(*names, "up0_2") as calls:
      _, taps = model.apply(variables, X, T, method="tapped")
    first = lambda x: x[0] if isinstance(x, tuple) else x
    outputs = [first(calls[n][0].output) for n in (*names, "up0_2")]
    return outputs, model.scales(taps), taps.ups

  outputs, scales, ups = run()
  assert len(ups) == 5
  assert [x.shape[1:] for x in scales] == [
    (8, 8, 8),
    (4, 4, 16),
    (4, 4, 16),
    (4, 4, 16),
    (8, 8, 8),
  ]
  for one, other in zip(outputs, scales, strict=True):
    np.testing.assert_array_equal(one, other)
