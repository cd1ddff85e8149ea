import functools

import jax
import numpy as np
import pytest

from jmim.checkpoints import frozen
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.core.settings import optim as settings
from jmim.cost import flops
from jmim.methods.diffusion import difffit
from jmim.methods.diffusion import dit
from jmim.methods.parts import labels
from jmim.methods.parts import scales
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn import stack
from jmim.training import optim
from jmim.training import schedule
from jmim.training import step as steps

TINY = difffit.DiffFit.tiny()
PLAIN = field.replace(TINY, scales={p: False for p in scales.MAPS})
BATCH = {
  "image": np.random.default_rng(0)
  .uniform(-1, 1, (3, 8, 8, 3))
  .astype(np.float32),
  "label": np.array([0, 1, 2]),
}


@functools.cache
def start(method=TINY):
  """Fresh weights over a host with noise in all it has."""
  params, extra = jax.jit(method.init)(jax.random.key(0), BATCH)
  keys = {n: c.init for n, c in method.consts().items()}
  consts = {n: jax.jit(init)(jax.random.key(1)) for n, init in keys.items()}
  return methods.Weights(params, extra, consts)


@functools.cache
def moved(method=TINY):
  """The same after a while."""
  rng, weights = np.random.default_rng(2), start(method)
  noise = lambda x: x + 0.1 * rng.normal(size=x.shape).astype(np.float32)
  return methods.Weights(
    jax.tree.map(noise, weights.params), weights.extra, weights.consts
  )


DRAWS = TINY.drawn(jax.random.key(3), BATCH)


def predicted(method, weights):
  return jax.jit(method.denoised)(weights, BATCH, DRAWS)[1]["pred"]


def shapes(**changes):
  """What a method of published size owns; nothing is computed."""
  base = difffit.DiffFit(
    size=32,
    channels=4,
    dims=sizes.Dims(variant="XL/2"),
    labels=labels.Labels(classes=101),
    host_classes=1000,
  )
  method = field.replace(base, **changes)
  return jax.eval_shape(method.init, jax.random.key(0), None)[0]["main"], method


def count(tree):
  return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


# What is tuned.


def test_counts_of_the_published_size():
  own, method = shapes(scales=dict(stop=14))
  assert count(own["added"]) == 489_632
  assert count(own["new"]) == 102 * 1152
  assert count(own["gamma"]) == 14 * 2304
  whole = jax.eval_shape(method.init_host, jax.random.key(0))
  # The authors' count has the fixed table of positions.
  assert count(whole) + 256 * 1152 == 675_129_632
  own, _ = shapes(mode="bitfit")
  assert count(own) == 489_632 + 102 * 1152
  own, _ = shapes()
  assert count(own["gamma"]) == 28 * 2304
  assert count(own) / count(whole) < 0.0011
  own, _ = shapes(mode="full", host_classes=0, labels=dict(classes=1000))
  assert count(own) == count(whole) and set(own) == {"added"}


def test_names_are_chosen_by_a_rule():
  names = set(trees.named(start().params["main"]["added"]))
  assert names == {
    *(f"blocks/layers/attn/{n}/bias" for n in ("proj", "qkv")),
    *(f"blocks/layers/mlp/{n}/bias" for n in ("fc1", "fc2")),
    *(f"time_embed/{n}/bias" for n in ("fc1", "fc2")),
    "blocks/layers/modulation/bias",
    "modulation/bias",
    "patch_embed/bias",
    "pred/bias",
  }
  kept = field.replace(TINY, host_classes=0, tuned=("modulation", "embed"))
  names = set(trees.named(start(kept).params["main"]["added"]))
  assert names == {
    "label_embed/embedding",
    *(
      f"{n}/{leaf}"
      for n in ("modulation", "blocks/layers/modulation")
      for leaf in ("kernel", "bias")
    ),
    *(
      f"{n}/{leaf}"
      for n in ("patch_embed", "time_embed/fc1", "time_embed/fc2")
      for leaf in ("kernel", "bias")
    ),
  }


def test_without_scales_it_is_bitfit():
  bitfit = field.replace(TINY, mode="bitfit")
  one, two = start(PLAIN).params, start(bitfit).params
  assert trees.named(one).keys() == trees.named(two).keys()
  np.testing.assert_array_equal(
    predicted(PLAIN, moved(PLAIN)), predicted(bitfit, moved(bitfit))
  )


def test_a_new_table_or_the_host_s():
  own = start().params["main"]["new"]["label_embed"]["embedding"]
  assert own.shape == (4, 32) and 0.01 < own.std() < 0.03
  assert start().consts["host"]["label_embed"]["embedding"].shape == (6, 32)
  same = field.replace(TINY, host_classes=0)
  own = start(same).params["main"]
  assert "new" not in own and not own["added"]["label_embed"]["embedding"].any()


# What it computes.


@pytest.mark.parametrize("mode", ["difffit", "bitfit", "full"])
def test_it_begins_at_the_host_to_the_bit(mode):
  method = field.replace(TINY, mode=mode, host_classes=0)
  weights = start(method)
  host = methods.Weights({"main": weights.consts["host"]})
  plain = jax.jit(functools.partial(dit.DiT.denoised, method))
  want = plain(host, BATCH, DRAWS)[1]["pred"]
  np.testing.assert_array_equal(predicted(method, weights), want)


def test_folded_it_is_an_ordinary_dit():
  weights = moved()
  folded = jax.jit(TINY.fold)(weights)
  want = predicted(TINY, weights)

  @jax.jit
  def plain(folded):
    return dit.DiT.denoised(TINY, folded, BATCH, DRAWS)[1]["pred"]

  np.testing.assert_allclose(plain(folded), want, rtol=1e-5, atol=1e-5)
  names = trees.named(folded.params["main"])
  like = jax.eval_shape(
    TINY.net.init, jax.random.key(0), BATCH["image"], DRAWS["t"], BATCH["label"]
  )["params"]
  assert names.keys() == trees.named(like).keys()
  other = predicted(PLAIN, moved(PLAIN))
  assert np.abs(other - want).max() > 1e-3  # the scales did something


def test_scales_act_in_their_blocks_only():
  method = field.replace(TINY, host_classes=0, scales=dict(stop=0))
  weights = start(method)
  main = weights.params["main"]

  def tokens(gamma):
    own = main | {"gamma": main["gamma"] | {"mlp": gamma}}
    changed = methods.Weights({"main": own}, {}, weights.consts)
    return method.denoised(changed, BATCH, DRAWS, ("block",))[1]["block"]

  run, ones = jax.jit(tokens), main["gamma"]["mlp"]
  base, early, late = run(ones), *(run(ones.at[i].set(3)) for i in (0, 1))
  np.testing.assert_array_equal(late[0], base[0])
  assert np.abs(late[1] - base[1]).max() > 1e-3
  assert np.abs(early[0] - base[0]).max() > 1e-3


def test_a_finer_grid_reads_the_positions_of_the_host():
  coarse = posemb.sincos_2d(64, (16, 16)).reshape(16, 16, 64)
  fine = posemb.sincos_2d(64, (32, 32), step=0.5).reshape(32, 32, 64)
  np.testing.assert_array_equal(fine[::2, ::2], coarse)
  assert difffit.DiffFit(size=64, host_size=32).net.step == 0.5
  assert difffit.DiffFit(size=64).net.step == 1.0


def test_samples_and_features_are_those_of_the_folded_model():
  weights, key = moved(), jax.random.key(0)
  folded = jax.jit(TINY.fold)(weights)
  for name in ("sample", "features"):
    got = jax.jit(getattr(TINY, name))(weights, BATCH, key)
    want = jax.jit(functools.partial(getattr(dit.DiT, name), TINY))(
      folded, BATCH, key
    )
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_layers_may_be_apart():
  weights = moved()
  apart = methods.Weights(
    stack.unrolled(TINY.rt, weights.params), weights.extra, weights.consts
  )
  key = jax.random.key(0)
  np.testing.assert_allclose(
    jax.jit(TINY.features)(apart, BATCH, key),
    jax.jit(TINY.features)(weights, BATCH, key),
    rtol=1e-5,
    atol=1e-6,
  )


# What a step does.


def test_the_host_is_not_touched_and_has_no_moments():
  weights = start()
  rate = schedule.make(settings.Schedule(name="constant"), 1e-2, 1)
  how = settings.Optim(weight_decay=0.0)
  optimizer = optim.make(how, weights.params, TINY.groups(), rate)
  step = steps.Step(
    TINY, {"main": optimizer}, lambda key, batch: batch, ema_decay=0.9
  )
  state = jax.jit(step.init)(BATCH, weights.consts)
  own = count(weights.params)
  assert count(state.params) == count(state.ema) == own
  assert 2 * own <= count(state.opt) <= 2 * own + 8
  before = jax.tree.map(np.asarray, weights.consts)
  run = jax.jit(step)
  for _ in range(2):
    state, _ = run(state, weights.consts, BATCH)
  jax.tree.map(np.testing.assert_array_equal, weights.consts, before)
  after = trees.named(state.params)
  for name, leaf in trees.named(weights.params).items():
    assert np.abs(after[name] - leaf).max() > 1e-4, name
  laid = TINY.laid(methods.Weights(state.params, {}, weights.consts))
  laid = trees.named(laid)
  for name, leaf in trees.named(before["host"]).items():
    if name.endswith("kernel"):
      np.testing.assert_array_equal(laid[name], leaf)


def work(method):
  """FLOPs of the loss and its gradient."""
  weights = start(method)

  def grads(params):
    loss = lambda p: method.loss(
      methods.Weights(p, {}, weights.consts), BATCH, DRAWS, 0
    )[0]
    return jax.value_and_grad(loss)(params)

  return flops.count(grads, weights.params)


def test_a_step_costs_less_than_tuning_everything():
  usual = field.replace(
    TINY, scales={p: p in ("attention", "mlp") for p in scales.MAPS}
  )
  full, own = work(field.replace(TINY, mode="full")), work(usual)
  assert own <= 0.75 * full
  assert work(field.replace(TINY, mode="bitfit")) == own


# Mistakes.


def test_a_host_with_other_heads_is_refused(refused):
  """Those of a size that is named, too."""

  def const(path):
    return field.replace(TINY, host=dict(path=path)).consts()["host"]

  told = lambda heads: {"dims": dict(variant="S/2", heads=heads)}
  assert refused(const, told(4)) == ""
  assert refused(const, told(0)) == "method.dims.heads"


def test_a_host_of_another_shape_is_refused(tmp_path):
  const = TINY.consts()["host"]
  assert const.agrees["noise.times"] == ("method.noise.times", 20)
  assert const.whole and const.agrees["dims.heads"][1] == 4
  named = field.replace(TINY, dims=dict(variant="S/2", heads=0))
  assert named.consts()["host"].agrees["dims.heads"][1] == 6  # those of S
  assert "first_stage.scale" not in const.agrees
  path = tmp_path / "host.npz"
  frozen.save(path, start().consts["host"])
  load = lambda method: frozen.load("host", method.consts()["host"])
  there = field.replace(TINY, host=dict(path=str(path)))
  assert (
    trees.named(load(there)).keys()
    == trees.named(start().consts["host"]).keys()
  )
  with pytest.raises(errors.UserError, match="shape of label_embed"):
    load(field.replace(there, host_classes=7))
  with pytest.raises(errors.UserError, match="no file"):
    load(field.replace(TINY, host=dict(path=str(tmp_path / "gone.npz"))))
  assert "host" not in field.replace(TINY, mode="scratch").consts()


def test_fields_that_do_not_go_together_are_refused():
  with pytest.raises(ValueError, match="scales.first"):
    field.replace(TINY, scales=dict(first=2)).inputs()
  with pytest.raises(ValueError, match="host_classes"):
    field.replace(TINY, labels=dict(classes=0)).inputs()
