"""Steps compiled ahead of time, on simulated devices."""

import jax
import pytest
import tinyrun

from jmim.core import config as configs
from jmim.core import errors
from jmim.session import aot


def recipe(*items):
  return configs.override(tinyrun.recipe("nowhere"), items)


def block(t, w, ratio=4):
  """FLOPs of one transformer block on one image."""
  return 2 * t * w * (4 * w + 2 * ratio * w) + 2 * 2 * t * t * w


@pytest.fixture(scope="module")
def found():
  items = ("mesh.fsdp=8", "fsdp_min_size=0", "scan=on")
  config = recipe(*(f"hardware.{item}" for item in items))
  return aot.measure(config, jax.devices())


def test_no_data_and_no_workdir_are_needed(found):
  # 16 patches of 4 numbers; 4 kept and a class token, two blocks of width 32;
  # a decoder of 17 tokens, one block of width 16.
  embed = 2 * 4 * 4 * 32  # what is hidden is not embedded
  forward = embed + 2 * block(5, 32) + 2 * 5 * 32 * 16
  forward += block(17, 16) + 2 * 17 * 16 * 4
  # Nothing needs the gradient of the image.
  assert found["flops"]["model_per_image"] == 3 * forward - embed
  assert found["batch"] == 32 and found["devices"] == 8


def test_the_compiled_step_does_what_the_model_needs(found):
  # Less than three forward passes: images have no gradient.
  assert 0.9 < found["flops"]["compiled_over_model"] < 1.1


def test_state_and_network_are_those_of_the_mesh(found):
  n = found["parameters"]
  # Parameters, two moments and an EMA, an eighth of each on a chip.
  assert found["memory"]["arguments"] > 4 * 4 * n / 8
  assert found["memory"]["arguments"] < 1.5 * 4 * 4 * n / 8 + 32 * 64
  assert found["network"]["fsdp_minimum"] == 3 * 4 * n * 7 / 8
  assert found["network"]["over_minimum"] > 0.5


def test_what_does_not_fit_says_by_how_much_and_what_helps():
  class Parts:
    config = recipe("data.batch=64")
    batch = 64

  text = "RESOURCE_EXHAUSTED: Ran out of memory. Used 20.00G of 15.75G hbm."
  gib = 2**30
  error = aot.too_big(text, 3 * gib, Parts)
  assert isinstance(error, aot.TooBig)
  assert "20.00 GiB" in error.seen and "4.25 GiB" in error.expected
  assert "remat=dots" in error.fix and "accumulate=2" in error.fix
  full = aot.too_big(text, 18 * gib, Parts)
  assert "fsdp" in full.fix and "accumulate" not in full.fix
  text = (
    "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, "
    "the total memory required for HLO temporaries (243.69G) exceeds "
    "available HBM (15.75G). HLO module: jit_step."
  )
  alone = aot.too_big(text, 3 * gib, Parts)
  assert "246.69 GiB" in alone.seen and "remat=dots" in alone.fix
  assert "accumulate=32" in alone.fix  # 12.75 GiB are left for 243.69
  other = aot.too_big("INTERNAL: Mosaic", 1, Parts)
  assert not isinstance(other, aot.TooBig) and "Mosaic" in other.seen


class Program:
  """Of a compiler whose programs can be read only with some options."""

  def __init__(self, problem: str, options: dict | None = None):
    self.problem, self.options = problem, options or {}

  def compile(self, compiler_options):
    return Program(self.problem, compiler_options)

  def as_text(self):
    if not aot.READABLE.items() <= self.options.items():
      raise jax.errors.JaxRuntimeError(self.problem)
    return "HloModule step"


def test_a_program_that_cannot_be_read_is_compiled_for_one_kind_of_core():
  lowered = Program("INTERNAL: async-update instruction should have 1 operands")
  given = {"xla_tpu_a": True}
  compiled, text = aot.compile_with_text(lowered, given)
  assert text == "HloModule step"
  assert compiled.options == {**given, **aot.READABLE}
  with pytest.raises(jax.errors.JaxRuntimeError, match="Mosaic"):
    aot.compile_with_text(Program("INTERNAL: Mosaic"))


def test_the_error_is_one_screen():
  assert issubclass(aot.TooBig, errors.UserError)


def test_a_batch_is_what_the_pipeline_makes_and_the_method_reads(toy):
  _, program = aot.make_program(toy)
  shapes = {k: (x.shape, x.dtype.name) for k, x in program.batch.items()}
  assert shapes == {
    "image": ((32, 8, 8, 1), "uint8"),
    "label": ((32,), "int32"),
  }
