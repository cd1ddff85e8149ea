import dataclasses

import pytest
import toydiffusion

from jmim.diffusion import schedule
from jmim.methods.parts import code_pair
from jmim.methods.parts import code_sampler

TOY = toydiffusion.make()
CODE = code_sampler.CodeSampler(steps=4)


def test_models_of_one_process_read_each_others_codes():
  code_pair.check(CODE, TOY, toydiffusion.make(seed=1), skip=2)
  # Without classes, too.
  code_pair.check(CODE, TOY, toydiffusion.make(classes=0))


@pytest.mark.parametrize(
  "fields, target, words",
  [
    ({}, toydiffusion.make(size=8), "source of image"),
    ({}, toydiffusion.make(channels=2), "source of shape"),
    (
      {},
      dataclasses.replace(TOY, schedule=schedule.make("linear", 20, 1e-3, 0.2)),
      "differ in their noise",
    ),
    ({"eta": 0.0}, TOY, "code.eta=0.0"),
  ],
)
def test_what_does_not_go_together_is_named(fields, target, words):
  made = dataclasses.replace(CODE, **fields)
  with pytest.raises(ValueError, match=words):
    code_pair.check(made, TOY, target)
