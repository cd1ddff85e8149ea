import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.masks import occupied
from jmim.nn import sizes
from jmim.nn.nets import voxel_dit

GRID, B = (4, 4, 4), 2
SMALL = sizes.Size(width=12, depth=3, heads=2)
DECODER = sizes.Size(width=6, depth=2, heads=1)


def net(**more):
  how = {"size": SMALL, "patch": 2, "grid": GRID, "classes": 2, "side": 2}
  return voxel_dit.VoxelDiT(**{**how, **more})


def volume(seed=0):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=(B, 8, 8, 8, 3)).astype(np.float32))


T, LABEL = jnp.array([3, 700]), jnp.array([0, 2])


def filled(module, seed=1):
  params = module.init(jax.random.key(0), volume(), T, LABEL)["params"]
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda p: jnp.asarray(rng.normal(size=p.shape) * 0.2), params
  )


def run(module, params, x, kept=None, **more):
  apply = jax.jit(
    lambda p, x, kept: module.apply({"params": p}, x, T, LABEL, kept, **more)
  )
  return apply(params, x, kept)


def kept_of(ids, valid=None):
  ids = jnp.asarray(ids)
  valid = jnp.ones(ids.shape, bool) if valid is None else jnp.asarray(valid)
  return occupied.of(ids, valid, 64)


KEPT = kept_of([[3, 40, 7, 22], [60, 1, 2, 33]], [[1] * 4, [1, 1, 0, 0]])


@pytest.fixture(scope="module")
def masked():
  """(module with a decoder, its parameters)."""
  module = net(decoder=DECODER, decoder_windows=(0,))
  return module, filled(module)


def test_a_fresh_network_predicts_nothing():
  module = net(decoder=DECODER)
  params = module.init(jax.random.key(0), volume(), T, LABEL)["params"]
  for kept in (None, KEPT):
    assert not run(module, params, volume(), kept)["pred"].any()


def test_hidden_patches_and_empty_slots_are_not_seen(masked):
  module, params = masked
  pred = run(module, params, volume(), KEPT)["pred"]
  assert np.abs(pred).max() > 0.1
  # Other voxels in every patch that is not kept, and in that of empty slots.
  shown = jnp.repeat(KEPT.visible.reshape(B, 4, 4, 4), 2, 1)
  shown = jnp.repeat(jnp.repeat(shown, 2, 2), 2, 3)[..., None]
  other = jnp.where(shown, volume(), volume(seed=5))
  np.testing.assert_array_equal(run(module, params, other, KEPT)["pred"], pred)
  # The order of the slots does not matter, but for rounding.
  turned = kept_of(KEPT.keep[:, ::-1], KEPT.valid[:, ::-1])
  again = run(module, params, volume(), turned)["pred"]
  np.testing.assert_allclose(again, pred, atol=1e-5)


def test_all_tokens_kept_are_as_without_a_mask(masked):
  module, params = masked
  every = kept_of(
    np.stack([np.random.default_rng(i).permutation(64) for i in (0, 1)])
  )
  np.testing.assert_allclose(
    run(module, params, volume(), every)["pred"],
    run(module, params, volume())["pred"],
    atol=1e-5,
  )


def test_tokens_filled_up_change_nothing(masked):
  module, params = masked
  padded = module.clone(rt=runtime.Runtime(pad_tokens=16))
  np.testing.assert_allclose(
    run(padded, params, volume(), KEPT)["pred"],
    run(module, params, volume(), KEPT)["pred"],
    atol=1e-5,
  )


def test_without_a_decoder_it_is_the_encoder_and_a_head(masked):
  """The tokens of a masked network are those of DiT-3D."""
  module, params = masked
  plain = net()
  own = filled(plain)
  shared = {k: params[k] for k in own if k not in ("modulation", "pred")}
  mixed = {**own, **shared}
  np.testing.assert_allclose(
    run(plain, mixed, volume())["latent"],
    run(module, params, volume())["latent"],
    atol=1e-6,
  )


def test_blocks_of_both_kinds_run_in_their_order():
  """Windows in block 1 of 3: taps come in the order of the blocks."""
  module = net(windows=(1,))
  params = filled(module)
  assert params["blocks"]["layers"]["attn"]["qkv"]["kernel"].shape[0] == 2
  window = params["window_blocks"]["layers"]["attn"]
  assert window["relative_x"].shape == (1, 3, 6)
  out = run(module, params, volume(), taps=("block",))
  np.testing.assert_allclose(out["block"][-1], out["latent"], atol=1e-6)
  # In the first block all tokens see each other; in windows they do not.
  changed = volume().at[:, 0, 0, 0].add(3.0)
  first = run(net(windows=(0, 1, 2)), filled(net(windows=(0, 1, 2))), changed)
  same = run(net(windows=(0, 1, 2)), filled(net(windows=(0, 1, 2))), volume())
  moved = np.abs(first["latent"] - same["latent"]).max((0, 2)) > 1e-6
  assert moved.sum() == 8  # its window of 2 x 2 x 2
  both = run(module, params, changed)["latent"] - out["latent"]
  assert (np.abs(both).max((0, 2)) > 1e-6).all()
