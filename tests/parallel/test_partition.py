"""What splits each dimension of an array, by hand."""

import jax
import pytest

from jmim.parallel import partition

P = jax.sharding.PartitionSpec


@pytest.mark.parametrize(
  "shape, name, expected",
  [
    ((16, 64), "kernel", P(None, "fsdp")),
    ((64, 16), "kernel", P("fsdp")),
    ((64, 63), "kernel", P("fsdp")),
    ((128, 20, 8), "kernel", P("fsdp")),
    ((32, 32), "kernel", P(None, "fsdp")),  # of equal ones the last
    ((8,), "bias", P("fsdp")),
    ((7, 9), "kernel", None),
    ((), "scale", None),
    ((64, 7, 9), "blocks/layers/kernel", None),  # never the layers
    ((64, 8, 16), "blocks/layers/kernel", P(None, None, "fsdp")),
    ((64, 16), "blocks/layers/bias", P(None, "fsdp")),
    ((64, 16), "players/bias", P("fsdp")),
  ],
)
def test_fsdp_takes_the_largest_dimension_that_divides(shape, name, expected):
  add = partition.add_axis
  assert add(P(), shape, name=name, axis="fsdp", mesh={"fsdp": 8}) == expected


def test_an_axis_may_go_where_another_is_if_the_rest_divides():
  sizes = {"fsdp": 4, "data": 3}
  add = lambda spec, shape: partition.add_axis(
    spec, shape, name="kernel", axis="data", mesh=sizes
  )
  assert add(P("fsdp"), (24, 3)) == P(("fsdp", "data"))
  assert add(P("fsdp"), (24, 9)) == P("fsdp", "data")
  assert add(P("fsdp"), (8, 3)) == P("fsdp", "data")
  assert add(P("fsdp"), (8, 5)) is None


def test_an_entry_takes_axes_in_order():
  assert partition.plus(None, "data") == "data"
  assert partition.plus("fsdp", "data") == ("fsdp", "data")
  assert partition.plus(("tensor", "fsdp"), "data") == (
    "tensor",
    "fsdp",
    "data",
  )


def test_only_the_last_empty_entries_go():
  assert partition.trimmed([None, "data", None, None]) == P(None, "data")
  assert partition.trimmed([None]) == P()
