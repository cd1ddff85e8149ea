import pytest

from jmim.methods.parts import code_condition
from jmim.methods.parts import code_network
from jmim.methods.parts import image_codes

CODES = image_codes.ImageCodes(vocabulary=7, side=2, columns=3)
CONDITION = code_condition.CodeCondition(
  kind="class", classes=4, embed="sinusoid"
)


def test_the_network_has_its_fields():
  part = code_network.CodeNetwork(
    width=8, depth=3, heads=2, mlp_ratio=2.0, mlp="conv", act="gelu"
  )
  net = part.build(CODES, CONDITION, times=9)
  assert (net.codes, net.grid, net.tables) == (7, (2, 3), (2, 3))
  assert (net.size.width, net.size.depth, net.size.heads) == (8, 3, 2)
  assert dict(net.block) == dict(
    times=9,
    timed="learned",
    kind="class",
    classes=4,
    classed="sinusoid",
    class_norm="layer",
    mixer="conv",
    act="gelu",
  )


@pytest.mark.parametrize(
  ("fields", "text"),
  [
    (dict(width=10, heads=4), "network.width 10"),
    (dict(tables=(2, 2)), r"network.tables \(2, 2\)"),
    (dict(tables=(9,)), r"network.tables \(9,\)"),
    (dict(width=3, heads=1, timed="sinusoid"), "network.width 3: even"),
  ],
)
def test_mistakes(fields, text):
  part = code_network.CodeNetwork(**fields)
  with pytest.raises(ValueError, match=text):
    part.check(CODES.grid, "learned")
