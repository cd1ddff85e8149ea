import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import init_from
from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.core import state as states
from jmim.core import tree as trees
from jmim.core.settings import run as settings
from jmim.nn import posemb


def rules(path="x", **own):
  return settings.InitFrom(path=str(path), **own)


def tree(shift=0.0):
  return {
    "main": {
      "encoder": {"kernel": jnp.arange(6.0).reshape(2, 3) + shift},
      "head": {"bias": jnp.full(4, shift)},
    }
  }


def saved(shift=10.0):
  return {n: np.asarray(x) for n, x in trees.named(tree(shift)).items()}


def test_equal_names_and_shapes_need_no_rule():
  found = init_from.match(saved(), tree(), rules())
  assert set(found) == set(saved())


def test_every_difference_is_listed_by_name():
  theirs = saved()
  theirs["main/decoder/kernel"] = np.zeros(3)
  theirs["main/head/bias"] = np.zeros(5)
  del theirs["main/encoder/kernel"]
  with pytest.raises(errors.UserError) as e:
    init_from.match(theirs, tree(), rules())
  assert "unknown: main/decoder/kernel" in e.value.seen
  assert "missing: main/encoder/kernel" in e.value.seen
  assert "main/head/bias: (5,) saved, (4,) wanted" in e.value.seen


def test_rename_skip_and_reinit():
  theirs = {
    "main/backbone/kernel": np.ones((2, 3)),
    "main/decoder/kernel": np.zeros(3),
    "main/head/bias": np.zeros(1000),
  }
  found = init_from.match(
    theirs,
    tree(),
    rules(
      rename=(("backbone", "encoder"),),
      skip=("decoder", "head"),
      reinit=("head",),
    ),
  )
  assert list(found) == ["main/encoder/kernel"]


def test_two_arrays_of_one_name_are_a_mistake():
  theirs = {"main/a": np.zeros(1), "main/b": np.zeros(1)}
  with pytest.raises(errors.UserError, match="two arrays"):
    init_from.match(theirs, tree(), rules(rename=(("[ab]$", "c"),)))


def test_a_copy_of_more_input_channels_is_repeated_and_divided():
  """Of the same input twice it makes what the first makes of one."""
  theirs = {"main/stem/kernel": np.arange(6.0).reshape(1, 3, 2)}
  theirs["main/stem/bias"] = np.ones(2)
  fit = lambda n: {
    "main": {
      "stem": {"kernel": np.zeros((1, 3, 2)), "bias": np.zeros(2)},
      "other": {"kernel": np.zeros((1, n, 2)), "bias": np.zeros(2)},
    }
  }
  also = rules(copies=(("/stem/", "/other/"),))
  found = init_from.match(theirs, fit(6), also)
  x, first = np.array([1.0, -2.0, 0.5]), theirs["main/stem/kernel"][0]
  second = found["main/other/kernel"][0]
  np.testing.assert_allclose(np.tile(x, 2) @ second, x @ first)
  np.testing.assert_array_equal(found["main/other/bias"], np.ones(2))
  np.testing.assert_array_equal(
    init_from.match(theirs, fit(3), also)["main/other/kernel"][0], first
  )
  with pytest.raises(errors.UserError, match="main/other/kernel"):
    init_from.match(theirs, fit(4), also)
  # Under its own name it is widened alone.
  wide = {"main": {"stem": fit(6)["main"]["other"]}}
  found = init_from.match(theirs, wide, rules(copies=(("/stem/", "/stem/"),)))
  np.testing.assert_array_equal(found["main/stem/kernel"][0], second)
  twice = rules(copies=(("/stem/", "/other/"), ("/stem/", "/other/")))
  with pytest.raises(errors.UserError, match="copied to main/other"):
    init_from.match(theirs, fit(6), twice)


def test_a_copy_of_a_longer_stack_is_its_first_layers():
  theirs = {"main/blocks/layers/kernel": np.arange(24.0).reshape(4, 3, 2)}
  theirs["main/blocks/layers/gamma"] = np.arange(4.0)
  fit = lambda n: {
    "main": {
      name: {"layers": {"kernel": np.zeros((k, 3, 2)), "gamma": np.zeros(k)}}
      for name, k in (("blocks", 4), ("branch", n))
    }
  }
  also = rules(copies=(("/blocks/", "/branch/"),))
  found = init_from.match(theirs, fit(2), also)
  for leaf in ("kernel", "gamma"):
    whole = theirs[f"main/blocks/layers/{leaf}"]
    np.testing.assert_array_equal(found[f"main/blocks/layers/{leaf}"], whole)
    copied = found[f"main/branch/layers/{leaf}"]
    np.testing.assert_array_equal(copied, whole[:2])
  with pytest.raises(errors.UserError, match="main/branch/layers/gamma"):
    init_from.match(theirs, fit(5), also)


def test_positions_are_resized_only_when_asked():
  old, new = np.random.default_rng(0).normal(size=(1, 17, 8)), (1, 37, 8)
  ours = {"main": {"pos_embed": jax.ShapeDtypeStruct(new, np.float32)}}
  theirs = {"main/pos_embed": old}
  with pytest.raises(errors.UserError, match="17, 8. saved"):
    init_from.match(theirs, ours, rules())
  found = init_from.match(theirs, ours, rules(resize=("pos_embed$",)))
  want = posemb.resize(jnp.asarray(old), (4, 4), (6, 6), prefix=1)
  np.testing.assert_allclose(found["main/pos_embed"], want, rtol=1e-6)


@pytest.mark.parametrize(
  "own, key",
  [
    ({"skip": ("(",)}, "init_from.skip"),
    ({"rename": ("a",)}, "init_from.rename"),
    ({"rename": ((1, "b"),)}, "init_from.rename"),
    ({"copies": ("a",)}, "init_from.copies"),
  ],
)
def test_bad_rules_name_their_key(own, key):
  with pytest.raises(errors.UserError) as e:
    init_from.match(saved(), tree(), rules(**own))
  assert e.value.key == key


def state(params, ema=None):
  zero = jnp.zeros((), jnp.int32)
  opt = {"main": (jnp.zeros(3), {"mu": jnp.ones(2)})}
  return states.State(
    step=zero,
    params=params,
    opt=opt,
    ema=ema or {},
    extra={},
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )


def test_a_run_starts_where_another_ended(tmp_path):
  store = checkpoint.Checkpoints(tmp_path)
  store.save(3, state(tree(5.0), tree(7.0)), {})
  store.close()
  for weights, shift in (("raw", 5.0), ("ema", 7.0)):
    section = rules(tmp_path, weights=weights, reinit=("head",), skip=("head",))
    fresh = jax.device_put(state(tree(0.0), tree(0.0)), jax.devices()[0])
    loaded = init_from.load(section, fresh.params)
    begun = init_from.apply(fresh, loaded)
    for got in (begun.params, begun.ema):
      kernel = got["main"]["encoder"]["kernel"]
      np.testing.assert_array_equal(
        kernel, tree(shift)["main"]["encoder"]["kernel"]
      )
      np.testing.assert_array_equal(got["main"]["head"]["bias"], 0.0)
    chex_equal = jax.tree.map(np.array_equal, begun.opt, fresh.opt)
    assert all(jax.tree.leaves(chex_equal)) and int(begun.step) == 0


def test_named_arrays_of_a_file(tmp_path):
  path = tmp_path / "weights.npz"
  np.savez(path, **saved())
  found = init_from.load(rules(path), tree())
  np.testing.assert_array_equal(
    found["main/head/bias"], saved()["main/head/bias"]
  )


def test_nothing_there(tmp_path):
  with pytest.raises(errors.UserError) as e:
    init_from.load(rules(tmp_path / "none"), tree())
  assert e.value.key == "init_from.path"
  assert init_from.load(rules(""), tree()) == {}
  untouched = state(tree())
  assert init_from.apply(untouched, {}) is untouched


def test_what_is_taken_and_what_stays_fresh_is_told():
  params = {"main": {"encoder": {"a": 1, "b": 2}, "head": {"bias": 3}}}
  names = trees.named(params)
  told = lambda *loaded: init_from.told(
    rules("runs/pre"), params, dict.fromkeys(loaded)
  )
  assert told() == ""
  assert told(*names) == "begins with runs/pre: main (3 arrays)"
  assert told("main/encoder/a", "main/encoder/b") == (
    "begins with runs/pre: main/encoder (2 arrays); fresh: main/head/bias"
  )
  assert told("main/head/bias").endswith("fresh: main/encoder (2 arrays)")


def test_of_many_places_some_are_named():
  params = {f"part_{i}": {"a": 0, "b": 0} for i in range(9)}
  loaded = {f"part_{i}/a": 0 for i in range(9)}
  text = init_from.told(rules("pre"), params, loaded)
  assert text == (
    "begins with pre: part_0/a, part_1/a, part_2/a, part_3/a and 5 more; "
    "fresh: part_0/b, part_1/b, part_2/b, part_3/b and 5 more"
  )
