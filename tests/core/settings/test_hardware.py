"""The section `hardware`: as the rooms that it configures have it."""

from jmim.core import config as configs
from jmim.core import field
from jmim.core import validate
from jmim.core.settings import hardware
from jmim.nn import stack
from jmim.parallel import sharding


def test_the_section_of_the_base_builds_the_defaults():
  section = configs.base().hardware
  built = validate.build(hardware.Hardware, section, "hardware")
  assert built == hardware.Hardware()
  assert isinstance(built.mesh, hardware.Mesh)


def test_the_axes_are_those_of_a_mesh():
  assert set(field.configured(hardware.Mesh)) == set(sharding.AXES)


def test_tensors_that_can_be_kept_are_those_that_blocks_name():
  doc = field.configured(hardware.Hardware)["remat_save"].metadata["doc"]
  assert doc.endswith(": " + ", ".join(stack.NAMES))
