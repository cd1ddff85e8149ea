r"""DiffFit: a diffusion transformer adapted by a thousandth of its parameters.

Xie, Yao, Shi, Liu, Zhou, Liu, Li, Li, ICCV 2023. No code on DiT is public;
`tests/golden` compares the scales in a text-to-image block, their gradients,
the names that are tuned and their counts with the code that the authors link
(mkshing/DiffFit-pytorch@78dc2d1, for Stable Diffusion).

A trained DiT stays as it is. Tuned are its biases, norms and table of classes,
and new scales gamma on what its blocks add to the tokens, which begin at 1:

    x    = x + gate_1 gamma_1 Attn(mod(LN x))      blocks `scales.first` to
    x    = x + gate_2 gamma_2 MLP(mod(LN x))       `scales.stop`
    b    = b_host + d,  d = 0 at first             `tuned`, by name
    loss = that of `diffusion.dit`, which this extends

`mode` chooses what is compared: difffit; bitfit, the same without scales; full,
all of the host; scratch, a fresh network and no host. `host_classes`: the
labels are others than the host's, and their table begins afresh. On a finer
grid (`host_size`) token (i, j) has the position (i, j) host_size / size, so
that the host finds the range that it knows. `fold` merges the scales into the
maps before them: what is left is an ordinary DiT.

Reference (FID, DiffFit / all tuned): Food 6.96 / 10.46, ArtBench 20.87 / 25.31,
Flowers 20.18 / 21.05; mean of eight sets 15.39 / 16.59 in half the time; BitFit
16.82. ImageNet 512 after 25 epochs from a model of 256: 3.02. Tuned: .83 M of
673.8 M.

The scales of the reported runs are not known: .22 M beyond BitFit are neither
two vectors in 14 blocks nor in 28. Their other places (`scales`) are those of
the paper's ablation and of the linked code. DiT's norms have no parameters. A
leaf is tuned by adding to the host's, which is the same under Adam without
decay; decay would draw it to the host's instead of to 0.

    python -m jmim.main --config=configs/difffit_digits.py:host=RUN --workdir=W
    python -m jmim.tools.claim difffit
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import model
from jmim.methods.diffusion import dit
from jmim.methods.parts import host as hosts
from jmim.methods.parts import latent_channels
from jmim.methods.parts import scales as places
from jmim.nn import scaled
from jmim.nn import sizes
from jmim.nn import stack
from jmim.nn.nets import dit as nets

TABLE = "label_embed"
# Of the linked code: "bias", "norm", "gamma", "y_embed".
WORDS = ("bias", "norm", "gamma", TABLE)


def is_tuned(name: str, words: Sequence[str] = WORDS) -> bool:
  """Whether a parameter is tuned: its name holds one of the words."""
  return any(word in name for word in words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffFit(dit.DiT):
  """A DiT over a frozen one."""

  host: hosts.Host = field.part(hosts.Host, "trained DiT")
  mode: str = field.value(
    "difffit",
    "parameters that are tuned",
    choices=("difffit", "bitfit", "full", "scratch"),
  )
  tuned: tuple = field.value(
    WORDS, "words in names of parameters that are tuned"
  )
  scales: places.Scales = field.part(places.Scales, "new scale factors")
  host_classes: int = field.value(
    0,
    "labels of the host, where those here are others and begin afresh; 0: the "
    "same",
    low=0,
  )
  host_size: int = field.value(
    0, "side that the host was trained on; 0: the same", low=0
  )

  @classmethod
  def tiny(cls) -> "DiffFit":
    """DiT's, with every scale in one block of two, and new labels."""
    everywhere = dict.fromkeys(places.MAPS, True)
    return field.replace(
      super().tiny(),
      scales=dict(**everywhere, stop=1),
      host_classes=5,
      host_size=4,
    )

  @property
  def net(self) -> nets.DiT:
    """The network on its grid, with positions that the host knows."""
    step = (self.host_size or self.size) / self.size
    return super().net.clone(step=step)

  @property
  def renews(self) -> bool:
    """Whether the table of labels begins afresh."""
    return bool(self.labels.classes and self.host_classes)

  def inputs(self) -> dict[str, method.Input]:
    """Those of DiT."""
    self.scales.check(self.dims.size.depth)
    if self.host_classes and not self.labels.classes:
      raise ValueError(
        f"host_classes {self.host_classes} with labels.classes 0: name the "
        "new labels"
      )
    return super().inputs()

  def init_host(self, key: jax.Array) -> method.Tree:
    """Fresh parameters of the host."""
    classes = self.host_classes or self.labels.classes
    x, zero = jnp.zeros((1, *self.shape)), jnp.zeros(1, jnp.int32)
    return self.net.clone(classes=classes).init(key, x, zero, zero)["params"]

  def consts(self) -> dict[str, method.Const]:
    """The first stage, in latent mode, and the host."""
    found = super().consts()
    if self.mode == "scratch":
      return found
    agrees = self.noise.agrees() | latent_channels.agrees(self.first_stage)
    agrees |= self.dims.agrees("method.dims")
    more = dict(implied=sizes.heads, whole=True)
    host = self.host.const(self.init_host, agrees, **more)
    return found | {"host": host}

  def wanted(self, name: str) -> bool:
    """Whether a leaf of the host is tuned."""
    if self.renews and name.startswith(TABLE):
      return False
    words = {"full": ("",), "bitfit": ("bias", TABLE)}
    return is_tuned(name, words.get(self.mode, self.tuned))

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """added, new and gamma, see `parts/host.py`; no extra state."""
    k_net, k_table = jax.random.split(key)
    if self.mode == "scratch":
      return {"main": {"new": super().init(k_net, batch)[0]["main"]}}, {}
    own = {"added": hosts.zeros(self.init_host, self.wanted)}
    if self.renews:
      shape = (self.labels.classes + 1, self.dims.size.width)
      table = 0.02 * jax.random.normal(k_table, shape)
      own["new"] = {TABLE: {"embedding": table}}
    if self.mode == "difffit" and self.scales.places:
      host = jax.eval_shape(self.init_host, k_net)
      own["gamma"] = self.scales.init(host)
    return {"main": own}, {}

  def laid(self, weights: method.Weights) -> method.Tree:
    """Parameters of the network, each gamma beside its kernel."""
    own, host = weights.params["main"], weights.consts.get("host", {})
    gammas = self.scales.tree(own.get("gamma", {}), host)
    return hosts.laid(hosts.laid(host, own), {"new": gammas})

  def fold(self, weights: method.Weights) -> method.Weights:
    """Weights of an ordinary DiT that computes the same."""
    return self._with(weights, scaled.folded(self.laid(weights)))

  def _with(self, weights: method.Weights, tree: Any) -> method.Weights:
    return dataclasses.replace(weights, params={"main": tree})

  def denoised(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    taps: tuple[str, ...] = (),
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """As DiT's; nothing is folded, so no gradient of a kernel is formed."""
    whole = self._with(weights, self.laid(weights))
    with scaled.outputs():
      return super().denoised(whole, batch, draws, taps)

  def features(self, weights, batch, key) -> jax.Array:
    """As DiT's."""
    return super().features(self.fold(weights), batch, key)

  def _apart(self, weights: method.Weights) -> method.Weights:
    """Folded, for a network that is called many times."""
    tree = self.fold(weights).params["main"]
    return self._with(weights, stack.unrolled(self.rt, tree))

  def sample(self, weights, batch, key) -> jax.Array:
    """As DiT's."""
    return super().sample(self._apart(weights), batch, key)

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """As DiT's."""
    return super().diffuser(self._apart(weights))
