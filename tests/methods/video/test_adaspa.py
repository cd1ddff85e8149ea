import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.cost import flops
from jmim.methods.parts import block_sparse
from jmim.methods.video import adaspa
from jmim.methods.video import step_video

TINY = adaspa.AdaSpa.tiny()
KEY = jax.random.key(3)
HOST = step_video.StepVideo


def tiny(guidance=2.0, **sparse):
  return field.replace(TINY, sampling=dict(guidance=guidance), sparse=sparse)


@pytest.fixture(scope="module")
def given(fill, normal):
  batch = {
    "video": normal(3, 3, 4, 4, 3),
    "label": jnp.asarray([0, 2, 1]),
    "index": jnp.arange(3),
  }
  filled = jax.tree.map(jnp.asarray, fill(TINY, batch, scale=0.4)[0])
  return methods.Weights(filled), batch


@pytest.fixture(scope="module")
def dense(given):
  """A sample of the host."""
  made = jax.jit(functools.partial(HOST.pairs, TINY))(*given, KEY)
  return np.asarray(made["sample"])  # pixels are diffused


def test_parameters_are_those_of_the_host(given):
  _, batch = given
  names = lambda m: set(
    trees.named(jax.eval_shape(m.init, jax.random.key(0), batch)[0])
  )
  assert names(TINY) == names(HOST.tiny())


def test_no_sparsity_is_the_host(given, dense):
  found = jax.jit(tiny(sparsity=0.0, selection="rows").sample)(*given, KEY)
  np.testing.assert_allclose(found, dense, atol=1e-4)


def test_up_to_the_first_search_all_is_dense(given, dense):
  found = jax.jit(tiny(searches=(5,)).sample)(*given, KEY)
  np.testing.assert_allclose(found, dense, atol=1e-4)
  early = jax.jit(tiny(searches=(1,)).sample)(*given, KEY)
  assert np.abs(early - dense).max() > 1e-2


def test_pairs_are_of_the_sparse_path(given, dense):
  """What a student learns from is what is sampled here, not the host's."""
  pairs = jax.jit(TINY.predict()["pairs"])(*given, KEY)
  made = jax.jit(TINY.predict()["sample"])(*given, KEY)
  np.testing.assert_allclose(pairs["sample"], made, atol=1e-5)
  assert np.abs(pairs["sample"] - dense).max() > 1e-2
  begin = jax.jit(functools.partial(HOST.pairs, TINY))(*given, KEY)["noise"]
  np.testing.assert_array_equal(pairs["noise"], begin)


@pytest.mark.parametrize("selection", ["heads", "random"])
def test_a_sample_does_not_depend_on_the_batch_it_is_made_in(given, selection):
  weights, batch = given
  sample = jax.jit(tiny(selection=selection).sample)
  whole = sample(weights, batch, KEY)
  alone = sample(weights, jax.tree.map(lambda a: a[2:], batch), KEY)
  np.testing.assert_allclose(whole[2:], alone, atol=1e-4)


def test_rows_of_block_sums_are_the_tokens_of_a_block(given):
  found = jax.jit(TINY.block_sums)(*given, KEY)
  assert found.shape == (3, 2, 2, 2, 6, 6)  # searches, layers, heads
  np.testing.assert_allclose(found.sum(-1), 2.0, rtol=1e-5)


def test_the_half_that_is_told_nothing_has_masks_of_its_own(given):
  walked = functools.partial(TINY.walked, key=KEY, attend=TINY.sparse.attend)
  state = jax.jit(walked)(*given)[2]
  assert [s.lse.shape for s in state] == [(2, 6, 2, 12)] * 2
  told, none = np.split(np.asarray(state[0].lse), 2, axis=1)
  assert np.abs(told - none).max() > 1e-4
  np.testing.assert_array_equal(state[0].lse, state[1].lse)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("selection", block_sparse.SELECTIONS)
def test_counted_work_is_the_formula(given, selection, guidance):
  m = tiny(guidance, selection=selection)
  sparse, dense = m.work()
  ours = flops.count(m.pairs, *given, KEY)
  hosts = flops.count(functools.partial(HOST.pairs, m), *given, KEY)
  assert hosts - ours == 3 * (dense - sparse)


def test_work_of_published_sizes():
  """Fifty calls, a fifth of the blocks: 9 dense, 1.5 + 0.5 of searches, 8.0."""
  m = adaspa.AdaSpa()
  assert m.tokens == 75_888
  sparse, dense = m.work()
  np.testing.assert_allclose(sparse / dense, (9 + 2 + 40 / 5) / 50, rtol=2e-3)


def test_fidelity_is_the_psnr_of_both_samples(given, dense):
  weights, batch = given
  made = np.asarray(jax.jit(TINY.sample)(weights, batch, KEY))
  error = ((np.clip(made, -1, 1) - np.clip(dense, -1, 1)) ** 2).mean(
    (1, 2, 3, 4)
  )
  found = jax.jit(TINY.fidelity)(weights, batch, KEY)["psnr"]
  np.testing.assert_allclose(found, 10 * np.log10(4 / error), rtol=1e-3)


def test_recalls_of_dense_samples(given):
  found = jax.jit(TINY.recalls)(*given, KEY)
  for name, value in found.items():
    assert value.shape == (3,) and np.isfinite(value).all(), name
  for name in ("columns", "diagonals", "window", "random", "heads", "rows"):
    best = found["recall_whole"] + 1e-6
    assert (found[f"recall_{name}"] <= best).all()
  assert (found["over_patterns"] >= -1e-6).all()
  assert (np.abs(found["other"] - found["kept"]) > 1e-4).all()
  # One clip alone has the same numbers.
  last = jax.tree.map(lambda a: a[2:], given[1])
  alone = jax.jit(TINY.recalls)(given[0], last, KEY)
  for name, value in found.items():
    np.testing.assert_allclose(value[2:], alone[name], atol=1e-4)


def test_ddim_without_noise_walks_the_same_path(given):
  one, other = (
    jax.jit(field.replace(TINY, sampling=dict(sampler=name)).sample)(
      *given, KEY
    )
    for name in ("euler", "ddim")
  )
  np.testing.assert_allclose(one, other, atol=1e-4)


def test_what_does_not_go_together_is_named():
  with pytest.raises(ValueError, match="attention 'factorised'"):
    field.replace(TINY, attention="factorised").inputs()
  with pytest.raises(ValueError, match=r"sparse\.searches"):
    tiny(searches=(2, 9)).inputs()
