import ml_collections
import pytest

from jmim.core import choices
from jmim.core import errors

ARG = ml_collections.ConfigDict({"stage": "vae", "fold": 4, "start": "W"})


def test_known_ones_pass():
  choices.check(ARG, stage=("vae", "refiner"), fold={4: "a mapping"})


@pytest.mark.parametrize(
  ("known", "expected"),
  [
    (dict(fold=[4], stage=("refiner",)), "refiner"),
    (dict(stage={"refiner": 1, "plain": 2}), "refiner or plain"),
    (dict(fold=range(4), stage=("refiner",)), "0, 1, 2 or 3"),
  ],
)
def test_the_first_wrong_one_is_named(known, expected):
  with pytest.raises(errors.UserError) as caught:
    choices.check(ARG, **known)
  name = "fold" if expected[0] == "0" else "stage"
  assert caught.value.seen == f"{name}={ARG[name]}"
  assert caught.value.expected == expected
  assert (caught.value.fix, caught.value.key) == (
    "name one of them",
    "--config",
  )


def test_its_own_advice():
  with pytest.raises(errors.UserError, match="the VAE is elsewhere"):
    choices.check(ARG, "the VAE is elsewhere", stage=("plain",))


def test_what_is_reckoned_with_is_large_enough():
  choices.at_least(ARG, fold=4)
  with pytest.raises(errors.UserError) as caught:
    choices.at_least(ARG, fold=5)
  assert (caught.value.seen, caught.value.expected, caught.value.key) == (
    "fold=4",
    "5 or more",
    "--config",
  )
