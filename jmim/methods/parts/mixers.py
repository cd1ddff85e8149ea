"""Mixers in the place of a UNet's self-attentions, and what is their own.

The rest of the UNet is a frozen host, see `parts/host.py`.
"""

import dataclasses
import functools
import re

from jmim.core import field
from jmim.core import method
from jmim.core import tree as trees
from jmim.methods.parts import host as hosts
from jmim.nn import linear_attention

# Leaves that a host lacks, and those that it has.
NEW = re.compile(r"_attention/self_\d+/[qk]_features/")
KEPT = re.compile(r"_attention/self_\d+/(q|k|v|proj)/")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixers:
  """Which mixer, and what it starts from."""

  form: str = field.value(
    "linear", "mixer of the student", choices=linear_attention.FORMS
  )
  bottleneck: int = field.value(
    0, "M, width inside F_q and F_k; 0: that outside; -1: F(x) = x", low=-1
  )
  tokens: int = field.value(
    0,
    "form unnormalised divides its sum by so many times the width of a head, "
    "a constant; 0: by nothing",
    low=0,
  )
  chunk: int = field.value(
    0, "tokens that the mixers work on at a time; 0: all", low=0
  )
  start: str = field.value(
    "host",
    "beginning of q, k, v and proj: the host's, to which is added, or fresh "
    "ones in their place",
    choices=("host", "fresh"),
  )

  @property
  def plug(self) -> functools.partial:
    """Makes a mixer, as `nn.unet.Layers.self_attention` is called."""
    return functools.partial(
      linear_attention.LinearAttention,
      form=self.form,
      mid=self.bottleneck,
      chunk=self.chunk,
      tokens=self.tokens,
    )

  def own(self, student: method.Tree, init_host: hosts.Init) -> method.Tree:
    """What is trained: "added" to leaves of the host, and "new".

    Args:
      student: fresh parameters of a network with these mixers.
      init_host: key -> parameters of the host.
    """
    fresh, added = self.start == "fresh", {}
    if not fresh:
      added = hosts.zeros(init_host, lambda name: bool(KEPT.search(name)))
    own = lambda name: NEW.search(name) or fresh and KEPT.search(name)
    new = {n: x for n, x in trees.named(student).items() if own(n)}
    return {"added": added, "new": trees.nested(new)}
