"""The step of a run by its shapes."""

import jax
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.session import program as programs


@pytest.fixture(scope="module")
def batch(parts):
  where = sharding.batch_sharding(parts.mesh)
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (parts.batch, 8, 8, 1)).astype(np.uint8)
  return {"image": jax.device_put(image, where)}


@pytest.fixture(scope="module")
def program(parts, batch):
  return programs.make(parts, batch)


def test_what_is_made_is_where_and_what_the_shapes_say(program, batch):
  state = program.init(batch)
  for name, like in trees.named(program.like).items():
    leaf = trees.named(state)[name]
    assert (leaf.shape, leaf.dtype) == (like.shape, like.dtype), name
    assert leaf.sharding.is_equivalent_to(like.sharding, leaf.ndim), name
  assert int(state.step) == 0


def test_shapes_and_arrays_lower_to_one_program(program, batch):
  state = program.init(batch)
  texts = [program.lower(x).as_text() for x in (state, program.like)]
  assert texts[0] == texts[1]
  new, metrics = program.lower(state).compile()(state, program.consts, batch)
  assert int(new.step) == 1 and all(np.isfinite(x) for x in metrics.values())
  leaf = jax.tree.leaves(state.params)[0]
  assert leaf.is_deleted()  # its buffers are given up


def test_the_work_of_a_step_is_that_of_all_examples(program, parts):
  # Products of 64 pixels or 3 latents: generator and discriminator each see
  # fakes, the latter also the real images; none of them is frozen.
  fake, judged = 2 * 3 * 64, 2 * 64
  generator, discriminator = fake + judged, fake + 2 * judged
  work = program.work() // parts.batch
  assert work.forward == generator + discriminator
  # The discriminator's fakes come from a generator that stands still.
  assert work.backward == generator + 2 * judged


def test_what_the_layout_could_not_split_is_told_by_name(toy, batch):
  config = toy.copy_and_resolve_references()
  config.hardware.mesh.fsdp = 8
  config.hardware.fsdp_min_size = 0
  made = programs.make(assemble.make(config), batch)
  assert set(made.missed) >= {"params/discriminator/dense/bias"}
  where = made.shardings.params["discriminator"]["dense"]["kernel"].spec
  assert where == jax.sharding.PartitionSpec("fsdp")
