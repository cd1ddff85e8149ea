import numpy as np
import pytest

from jmim.core import errors
from jmim.evals.lib import outputs

OUT = {"image": np.ones(2), "mask": np.zeros(2)}


def test_an_entry_is_as_it_was_given():
  assert outputs.entry(OUT, "mask", "any") is OUT["mask"]
  assert outputs.named(OUT, "image", "source") is OUT["image"]


@pytest.mark.parametrize(
  ("out", "seen"), [(OUT, "image, mask"), (OUT["image"], "one array")]
)
def test_an_output_without_what_is_looked_at_is_the_wrong_output(out, seen):
  with pytest.raises(errors.UserError) as e:
    outputs.entry(out, "flow", "dense.diffmatch: 'flow'")
  assert e.value.key == "evals.<name>.predict"
  assert e.value.seen.endswith(f"an output of {seen}")
  assert (e.value.expected, e.value.fix) == (
    "a dict with flow",
    "name another output (dense.diffmatch: 'flow')",
  )


@pytest.mark.parametrize(
  ("out", "name", "other", "expected"),
  [
    (OUT, "imag", "", "one of image, mask"),
    (OUT, "", "", "one of image, mask"),
    (OUT, "imag", "'thing'", "one of image, mask, or 'thing'"),
    (OUT["image"], "image", "", "'', as the output is one array"),
  ],
)
def test_a_name_that_is_not_there_is_that_of_its_key(
  out, name, other, expected
):
  with pytest.raises(errors.UserError) as e:
    outputs.named(out, name, "source", other)
  assert e.value.key == "evals.<name>.source"
  assert e.value.seen == f"evals.<name>.source={name!r}"
  assert e.value.expected == expected


def test_one_array_has_no_name():
  assert outputs.named(OUT["image"], "", "picture") is OUT["image"]
