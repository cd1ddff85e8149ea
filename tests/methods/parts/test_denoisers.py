from jmim.core import field
from jmim.core import runtime
from jmim.methods.latent import ldm
from jmim.methods.parts import denoisers


def test_a_section_chooses_between_them_and_a_unet_is_the_default():
  for kind, dims in denoisers.KINDS.items():
    made = field.replace(ldm.LDM())
    assert field.settings(made)["dims"]["type"] == "unet"
    net = dims.net(out=4, dropout=0.0, transformer=1, rt=runtime.Runtime())
    assert isinstance(net, denoisers.Network) and net.out == 4
    assert isinstance(dims, denoisers.Dims) and dims.dropout == 0, kind
