r"""MR-MAE: Mimic before Reconstruct, masked autoencoders that mimic features.

Gao, Zhang, Fang, Lin, Li, Li, Qiao, IJCV 2024. The MCMAE backbone is equal to
the authors' code (Alpha-VL/ConvMAE@4c97b4c9ec): `tests/golden` compares the
mask, stages, latent, prediction, reconstruction loss and gradients. Code of the
mimicking was never released: see below what is not sure of it.

An MAE (`mim.mae`) whose visible tokens mimic, at the output of the encoder,
what frozen teachers make of the whole image; hidden patches are reconstructed
at the output of the decoder. The two losses have no token in common:

    keep  = as in MAE     (visible="attention": drawn without replacement by
                           the teacher's attention p: smallest Exp(1) / p)
    z     = encoder(x[keep])                 its visible tokens, without cls
    f     = z,  or sum_l P_l h_l over some blocks l
    t_i   = norm(teacher_i(x))[keep]         no gradient
    L_i   = mean (H_i(f) - t_i)^2            one linear H_i per teacher
    loss  = L_mae + weight * sum_i L_i

The encoder is MAE's ViT (`dims.type="vit"`) or an MCMAE ("mcmae": masked
convolutions, then a transformer without cls, see `nn.nets.mcmae`). Without a
teacher (`teacher.family="none"`) it is MAE, or MCMAE, exactly.

Reference (ImageNet-1k top-1 %, fine-tuned; the abstract and the README):

    |       | MR-MAE B, 200 ep | MR-MCMAE B, 400 ep | MCMAE B, 1600 ep |
    |       | 85.0             | 85.8               | 85.0             |

From memory of the paper, not verified: the square distance, weight 1, the norm
of the targets ("whiten" here; "none" is an option), heads, how layers are fused
(here h_l are raw outputs of blocks, P_l linear maps) and that attention guides
which patches are visible. Weights: family `mcmae`.

    python -m jmim.main --config=configs/mr_mae_imagenet.py:backbone=mcmae \
      --config.method.teacher.path=runs/clip --workdir=runs/mr_mae
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.mim import mae
from jmim.methods.parts import mcmae_dims
from jmim.methods.parts import mimicry as mimicries
from jmim.methods.parts import teacher as teachers
from jmim.nn import sizes
from jmim.nn.nets import mcmae
from jmim.nn.nets import teacher as nets
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class MRMAE(mae.MAE):
  """Masked autoencoder whose visible tokens mimic teachers."""

  height: ClassVar[int] = 0  # none of its keys: squares only

  dims: sizes.Dims | mcmae_dims.MCMAEDims = field.part(
    {"vit": sizes.Dims, "mcmae": mcmae_dims.MCMAEDims}, "encoder"
  )
  teacher: teachers.Teacher = field.part(
    teachers.Teacher, "teacher that is mimicked"
  )
  second: teachers.Teacher = field.part(
    teachers.Teacher, "second teacher, if there is one", family="none"
  )
  mean: tuple = field.value((0.485, 0.456, 0.406), "mean of normalisation")
  std: tuple = field.value((0.229, 0.224, 0.225), "std of normalisation")
  mimicry: mimicries.Mimicry = field.part(
    mimicries.Mimicry, "mimicking: layers and targets"
  )
  weight: float = field.value(1.0, "weight of the mimic losses", low=0.0)
  visible: str = field.value(
    "random", "how visible patches are drawn", choices=("random", "attention")
  )

  @classmethod
  def tiny(cls) -> "MRMAE":
    """An MCMAE of 16 tokens, two teachers of two blocks, two layers fused."""
    dims = sizes.Dims(variant="Ti/4", width=24, depth=2)
    return dataclasses.replace(
      super().tiny(),
      dims=mcmae_dims.MCMAEDims(
        widths=(8, 16, 32), depths=(1, 1, 2), strides=(2, 2, 1), heads=4
      ),
      teacher=teachers.Teacher(family="clip", dims=dims),
      second=teachers.Teacher(family="dino", dims=dims, layer=0, norm=True),
      mimicry=mimicries.Mimicry(fuse_layers=(0, -1)),
      visible="attention",
    )

  @property
  def encoder(self) -> vit.ViT | mcmae.MCMAE:
    """Sees visible patches only."""
    if isinstance(self.dims, sizes.Dims):
      return super().encoder
    return mcmae.MCMAE(size=self.dims.size, grid=self.grid, rt=self.rt)

  @property
  def parts(self) -> dict[str, teachers.Teacher]:
    """The teachers that there are, by name."""
    known = {"teacher": self.teacher, "second": self.second}
    return {name: part for name, part in known.items() if part.exists}

  @property
  def guides(self) -> dict[str, nets.Teacher]:
    """Their networks, on the grid of the student."""
    of = lambda part: part.net(self.grid, self.mean, self.std)
    return {name: of(part) for name, part in self.parts.items()}

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    found = super().inputs()
    for name, part in self.parts.items():
      part.check(self.grid, name)
    if self.parts and self.channels != 3:
      raise ValueError(f"channels {self.channels}: teachers see 3")
    if self.visible == "attention" and not self.parts:
      raise ValueError("visible 'attention' is a teacher's, and there is none")
    self.mimicry.check(self.dims.size.depth)
    return found

  def consts(self) -> dict[str, method.Const]:
    """The teachers."""
    return {
      name: self.parts[name].const(net, f"method.{name}")
      for name, net in self.guides.items()
    }

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """The MAE's parameters, heads and maps of fused layers."""
    k_mae, k_mimicry = jax.random.split(key)
    params, extra = super().init(k_mae, batch)
    widths = {name: net.width for name, net in self.guides.items()}
    params["main"] |= self.mimicry.init(k_mimicry, self.dims.size.width, widths)
    return params, extra

  def taught(
    self, weights: method.Weights, batch: method.Batch
  ) -> dict[str, dict[str, jax.Array]]:
    """What each teacher makes of whole images, see `nets.Teacher.read`."""
    first = next(iter(self.parts), None)
    guiding = first if self.visible == "attention" else ""
    return {
      name: net.read(
        weights.consts[name],
        batch["image"],
        layer=self.parts[name].layer,
        importance=name == guiding,
      )
      for name, net in self.guides.items()
    }

  def guided(
    self, draws: method.Draws, taught: dict[str, dict[str, jax.Array]]
  ) -> method.Draws:
    """Draws whose noise has the importance in it, so that it makes the mask."""
    if self.visible == "random":
      return draws
    p = next(iter(taught.values()))["importance"]
    return {**draws, "noise": -jnp.log1p(-draws["noise"]) / p}

  def losses(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """The outputs of the MAE, `recon`, and `mimic` by teacher."""
    taught, main = self.taught(weights, batch), weights.params["main"]
    taps = self.mimicry.taps if taught else ()
    draws = self.guided(draws, taught)
    out = self.forward(weights.params, batch, draws, taps)
    out["recon"] = self.reconstruction_loss(out, batch)
    if not taught:
      return {**out, "mimic": {}}
    keep, first = out["mask"].keep, self.encoder.prefix
    blocks = out["block"][:, :, first:] if taps else None
    f = self.mimicry.features(main, out["latent"][:, first:], blocks)
    targets = {n: masking.take(t["patches"], keep) for n, t in taught.items()}
    return {**out, "mimic": self.mimicry.distances(main, f, targets)}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """The MAE loss and the weighted mimic losses."""
    del step, player
    out = self.losses(weights, batch, draws)
    aux = {f"mimic_{name}": x for name, x in out["mimic"].items()}
    total = out["recon"] + self.weight * sum(out["mimic"].values())
    return total, {"recon": out["recon"], **aux}

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """As `MAE.reconstruct`, with masks as in training."""
    draws = self.drawn(key, batch)
    if self.visible == "attention":
      draws = self.guided(draws, self.taught(weights, batch))
    return self.picture(self.forward(weights.params, batch, draws), batch)
