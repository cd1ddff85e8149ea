import jax.numpy as jnp
import pytest
import storekit

from jmim.checkpoints import compare
from jmim.core import errors


def test_every_difference_is_listed_by_name(saved):
  workdir, state = saved
  other = state | {
    "params": {"kernel": jnp.zeros((64, 127)), "bias": jnp.zeros(3)}
  }
  del other["half"]
  with pytest.raises(errors.UserError) as e:
    storekit.restore(workdir, storekit.like(other))
  lines = e.value.seen.splitlines()
  assert [line.strip() for line in lines[1:]] == [
    "missing: params/bias",
    "unknown: half",
    "shape of params/kernel: (64, 128) saved, (64, 127) wanted",
  ]
  assert e.value.key == "--workdir"


def test_many_differences_still_fit_a_screen(saved):
  workdir, state = saved
  other = state | {"more": {str(i): jnp.zeros(2) for i in range(100)}}
  with pytest.raises(errors.UserError, match="and 88 more") as e:
    storekit.restore(workdir, storekit.like(other))
  assert len(e.value.screen().splitlines()) <= 20


@pytest.mark.parametrize(
  "saved, ours, same",
  [
    (jnp.float32, jnp.bfloat16, True),
    (jnp.int32, jnp.uint8, True),
    (jnp.float32, jnp.int32, False),
    (jnp.bool_, jnp.int32, False),
    (jnp.bool_, jnp.bool_, True),
  ],
)
def test_a_number_may_change_its_width_but_not_its_kind(saved, ours, same):
  one = lambda dtype: {"x": jnp.zeros(2, dtype)}
  lines = compare.differences(one(saved), one(ours))
  assert lines == [] if same else ["dtype of x:" in x for x in lines] == [True]


def test_shapes_of_a_checkpoint_are_read_whatever_else_is_noted():
  found = compare.shapes({"a": [[2, 3], "bfloat16", 17], "b": [[], "int32"]})
  assert (found["a"].shape, found["a"].dtype) == ((2, 3), jnp.bfloat16)
  assert (found["b"].shape, found["b"].dtype) == ((), jnp.int32)
