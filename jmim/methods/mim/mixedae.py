r"""MixedAE: Mixed Autoencoder, its formulas from memory.

Chen, Liu, Hong, Xu, Li, Yeung, CVPR 2023 (Mixed Autoencoder for Self-supervised
Visual Representation Learning). No official code exists; the idea is the
abstract's, and ALL formulas, sizes and defaults below are from memory of the
paper or chosen here, not checked against it. There is no golden file.

Each image of a group of G gives its share of the patches to one mixed image,
in which every patch has to find those of its own source (homologous):

    a       = rank(noise) G div n, noise ~ U[0, 1)^n: the source of    draw
              each position, every one as often (up to one position)
    e_n     = embed(x_{a_n})_n + pos_n + s_{a_n}     s: learned, one per source
    z       = ViT(e), where patch queries attend to the class token and to their
              k = n / G strongest patch keys (equal logits all stay), per head
    pred_s  = Decoder(z_n where a_n = s, mask_token elsewhere)   for all s < G
    L_rec   = mean over n with a_n != s of mean_d (pred_s - t_s)^2
    L_homo  = -mean_j mean_{i: a_i = a_j, i != j}
              log(exp(u_j u_i / tau) / sum_{k != j} exp(u_j u_k / tau)),
              u = z / |z| of the patches of one mixed image
    loss    = L_rec + lambda_homo L_homo             t as in MAE

`mix_mode=naive`: without s, with full attention and lambda_homo 0 whatever the
options say; the paper's baseline, which falls below MAE. A group is G
consecutive slots of a batch; what is missing in the last one is filled from
the front. Evaluation is that of a plain ViT: nothing mixed, full attention,
no s. Chosen here: the class token is free of the k, at once of each query and
key; s ~ N(0, 0.02^2), not decayed; no projection before L_homo.

Reference (ViT-B/16, ImageNet-1k top-1 %, ADE20K mIoU; [abs]: abstract):

    | over MAE at equal schedule [abs] | +0.3 | +1.7 |
    | 1600 epochs, from memory         | 83.9 | 49.8 |

    python -m jmim.main --config=configs/mixedae_cifar10.py \
      --config.data.data_dir=DIR --workdir=runs/mixedae
"""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.masks import groups
from jmim.masks import tokens as masking
from jmim.methods.mim import mae
from jmim.nn import attention
from jmim.nn import logits
from jmim.nn import losses
from jmim.nn import norm


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixedAE(mae.MAE):
  """Mixed autoencoder; see the module docstring for the loss."""

  per_example: ClassVar[bool] = False  # groups are of a batch
  mask_ratio: ClassVar[None] = None  # none of its keys: 1 - 1 / group
  height: ClassVar[int] = 0  # none of its keys: squares only

  group: int = field.value(4, "images mixed into one (G)", low=2)
  mix_mode: str = field.value(
    "homologous", "mixing, homologous or plain", choices=("homologous", "naive")
  )
  topk_ratio: float = field.value(
    0.0, "share of the patches each attends to; 0: 1 / group", low=0, high=1
  )
  homo_layers: tuple = field.value(
    (), "blocks that attend to few, from 0; (): all"
  )
  segment_embed: bool = field.value(True, "tokens say which source they are of")
  lambda_homo: float = field.value(0.1, "weight of L_homo", low=0.0)
  tau: float = field.value(0.25, "temperature of L_homo", above=0.0)

  @classmethod
  def tiny(cls) -> "MixedAE":
    """The tiny MAE on pairs."""
    return dataclasses.replace(super().tiny(), group=2)

  @property
  def plain(self) -> bool:
    """Whether nothing is done against the shortcut."""
    return self.mix_mode == "naive"

  @property
  def patches(self) -> int:
    """n."""
    return self.grid[0] * self.grid[1]

  @property
  def keys_kept(self) -> int:
    """k, patch keys of each patch query."""
    ratio = self.topk_ratio
    return int(self.patches * ratio) if ratio else self.patches // self.group

  @property
  def edit(self) -> attention.Edit | None:
    """What the chosen blocks do to their logits; None: nothing."""
    if self.plain or self.keys_kept == self.patches:
      return None
    change = functools.partial(_strongest, keep=self.keys_kept)
    depth = self.dims.size.depth
    chosen = np.isin(np.arange(depth), self.homo_layers or np.arange(depth))
    return jax.tree_util.Partial(change, jnp.asarray(chosen))

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    spec, depth = super().inputs(), self.dims.size.depth
    if self.group > self.patches:
      raise ValueError(f"group {self.group} for {self.patches} patches")
    if not self.keys_kept:
      raise ValueError(f"topk_ratio {self.topk_ratio} keeps no patch")
    if wrong := [i for i in self.homo_layers if i not in range(depth)]:
      raise ValueError(f"homo_layers: {wrong} of {depth} blocks, from 0")
    return spec

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """The MAE's parameters, and one embedding per source."""
    k_mae, k_segment = jax.random.split(key)
    params, extra = super().init(k_mae, batch)
    if self.segment_embed and not self.plain:
      shape = (self.group, self.dims.size.width)
      params["main"]["segment"] = 0.02 * jax.random.normal(k_segment, shape)
    return params, extra

  def draw(self, keys, batch, step) -> method.Draws:
    """assign [b, n] int32, the source of each position.

    The first of a group counts; any part of a batch can thus be grouped.
    """
    noise = super().draw(keys, batch, step)["noise"]
    return {"assign": groups.assignment(noise, self.group)}

  def mask(self, draws: method.Draws) -> masking.Mask:
    """Of each image: kept is what it gives to its group's mixed image."""
    return groups.split(draws["assign"], self.group)

  def forward(
    self,
    params: method.Tree,
    batch: method.Batch,
    draws: method.Draws,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """As MAE's, of mixed [g, size, size, c] with sources assign [g, n]."""
    main, mask = params["main"], self.mask(draws)
    assign = self.rt.shard(draws["assign"][:: self.group])
    grouped = self.rt.shard(groups.gather(batch["image"], self.group))
    mixed = groups.mix(grouped, assign, self.dims.patch)
    variables = {"params": main["encoder"]}
    tokens = self.encoder.apply(variables, mixed, method="embed")
    if "segment" in main:
      tokens = tokens + main["segment"].astype(tokens.dtype)[assign]
    options = {"edit": self.edit, "taps": taps}
    out = self.encoder.apply(variables, tokens=tokens, **options)
    latent = groups.scatter(out["latent"], self.group, mask)
    filled = latent, mask, groups.valid(mask, self.group)
    pred = self.decoder.apply({"params": main["decoder"]}, *filled)
    more = {"pred": pred, "mask": mask, "mixed": mixed, "assign": assign}
    return out | more

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """L_rec + lambda_homo L_homo; aux: both."""
    del step, player
    out = self.forward(weights.params, batch, draws)
    recon = self.reconstruction_loss(out, batch)
    x, labels = out["latent"][:, 1:], out["assign"]
    homo = losses.supervised_contrastive(x, labels, self.tau).mean()
    weight = 0.0 if self.plain else self.lambda_homo
    return recon + weight * homo, {"recon": recon, "homo": homo}

  def predict(self) -> dict[str, method.Predict]:
    """MAE's outputs, and `homologous`."""
    return super().predict() | {"homologous": self.found}

  def found(self, weights, batch, key) -> dict[str, jax.Array]:
    """How well the patches of each image find each other in the mixed one.

    Returns:
      nearest [b]: share of them whose nearest patch (cosine of z) is of the
      same image; block_01 .. [b]: share of their attention to patches that
      goes to the same image, mean over heads. By chance about 1 / G.
    """
    draws = self.drawn(key, batch)
    out = self.forward(weights.params, batch, draws, ("attention",))
    u, assign = norm.unit(out["latent"][:, 1:]), out["assign"]
    cosines = jnp.einsum("gnw,gmw->gnm", u, u) - 3 * jnp.eye(self.patches)
    nearest = cosines.argmax(-1)  # 3: none is nearest to itself
    same = assign[:, :, None] == assign[:, None]
    hit = jnp.take_along_axis(same, nearest[..., None], -1)[..., 0]
    maps = out["attention"][..., 1:, 1:].mean(2)
    mass = (maps * same).sum(-1) / maps.sum(-1)
    share = lambda x: groups.share(x, 1 - out["mask"].mask, self.group)
    layers = {f"block_{i + 1:02d}": share(m) for i, m in enumerate(mass)}
    return {"nearest": share(hit.astype(jnp.float32)), **layers}


def _strongest(on, x, keep):
  """`strongest`, with the class token free."""
  return logits.strongest(x, keep, free=1, on=on)
