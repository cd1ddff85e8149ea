r"""I-JEPA: self-supervised learning with a joint-embedding predictive model.

Assran, Duval, Misra, Bojanowski, Vincent, Rabbat, LeCun, Ballas, CVPR 2023.
Equal to the authors' code (facebookresearch/ijepa@52c1ae9): `tests/golden`
compares context, prediction, target, loss, gradients and the momentum step.

No pixels are predicted but the features, by a slow copy of the encoder, of
blocks of the image, from a context block around them:

    B_1 .. B_t, C   blocks; C loses the cells of the targets      draw
    s     = ViT(x)[C]                   context encoder, sees C only
    z_i   = Predictor(s, positions of B_i)
    h     = LayerNorm(ViT_target(x)) without affine, all patches
    loss  = mean over i, B_i, channels of smoothL1(z_i - stop(h[B_i]))
    theta_target <- m theta_target + (1 - m) theta,  m: 0.996 -> 1, a line

Reference (ImageNet-1k linear probe %): B/16 72.9 and L/16 77.5 (600 epochs),
H/14 79.3 (300 epochs).

What differs: block sizes are drawn once per batch, as theirs, but index lists
are padded to a fixed length and the padding masked out, where the authors cut
all lists to the shortest in the batch (so a batch's size changed its masks;
`context_tokens` cuts ours). Evaluate the target encoder: `features` does.
Weights: family `ijepa`.

    python -m jmim.main --config=configs/ijepa_imagenet.py:variant=H/14 ...
    python -m jmim.main --config=configs/ijepa_cifar10.py --workdir=W ...
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import rectangles
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.nn import initialise
from jmim.nn import losses
from jmim.nn import norm
from jmim.nn import sizes
from jmim.nn.decoders import ijepa as predictors
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class IJEPA(method.Method):
  """Predicts features of target blocks from a context block."""

  variant: str = field.value("H/14", "encoder size / patch side in pixels")
  size: int = field.value(224, "image side in pixels", low=1)
  channels: int = field.value(3, "image channels", low=1)
  width: int = field.value(0, "encoder width; 0: that of variant", low=0)
  depth: int = field.value(0, "encoder blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "encoder heads; 0: those of variant", low=0)
  predictor_width: int = field.value(384, "predictor width", low=4)
  predictor_depth: int = field.value(12, "B: 6, L and H: 12, g: 16", low=0)
  predictor_heads: int = field.value(0, "0: those of the encoder", low=0)
  targets: int = field.value(4, "target blocks", low=1)
  target_scale: tuple = field.value((0.15, 0.2), "their share of the grid")
  target_aspect: tuple = field.value((0.75, 1.5), "their height / width")
  context_scale: tuple = field.value((0.85, 1.0), "share of the context")
  min_keep: int = field.value(10, "context tokens to exceed", low=0)
  context_tokens: int = field.value(0, "cut the context; 0: whole", low=0)
  momentum: float = field.value(0.996, "m at step 0", low=0.0, high=1.0)
  momentum_steps: int = field.value(0, "until m = 1; 0: constant", low=0)

  @classmethod
  def tiny(cls) -> "IJEPA":
    """16 patches, two targets."""
    return cls(
      variant="Ti/4",
      size=16,
      width=32,
      depth=2,
      heads=4,
      predictor_width=16,
      predictor_depth=1,
      targets=2,
      min_keep=2,
      momentum_steps=8,
    )

  @property
  def encoder(self) -> vit.ViT:
    """Of the context; the target encoder has the same form."""
    names, p = ("width", "depth", "heads"), sizes.parse(self.variant)[1]
    size = sizes.custom(self.variant, **{k: getattr(self, k) for k in names})
    return vit.ViT(
      size=size, patch=p, grid=(self.size // p,) * 2, cls=False, rt=self.rt
    )

  @property
  def predictor(self) -> predictors.Predictor:
    """From context to targets."""
    e = self.encoder
    heads = self.predictor_heads or e.size.heads
    size = sizes.Size(
      width=self.predictor_width, depth=self.predictor_depth, heads=heads
    )
    return predictors.Predictor(
      size=size, grid=e.grid, out=e.size.width, rt=self.rt
    )

  @property
  def lengths(self) -> tuple[int, int]:
    """Static lengths of the context and of a target list."""
    grid = self.encoder.grid
    whole = rectangles.most_cells(grid, self.context_scale, (1.0, 1.0))
    k = min(self.context_tokens or whole, whole)
    return k, rectangles.most_cells(grid, self.target_scale, self.target_aspect)

  def inputs(self):
    """Normalised images [size, size, channels]."""
    e = self.encoder
    sizes.check(e.size, self.size, e.patch)
    sizes.check(self.predictor.size, self.size, e.patch, "predictor_")
    for name in ("target_scale", "target_aspect", "context_scale"):
      low, high = getattr(self, name)
      if not 0 < low <= high:
        raise ValueError(f"{name} {(low, high)} is not 0 < least <= greatest")
    if self.min_keep >= self.lengths[0]:
      raise ValueError(f"min_keep {self.min_keep} of {self.lengths[0]} tokens")
    return {"image": method.Input((self.size, self.size, self.channels))}

  def init(self, key, batch):
    """Kernels N(0, 0.02^2); the target starts as a copy of the encoder."""
    k_encoder, k_predictor, k_normal = jax.random.split(key, 3)
    image, e = batch["image"][:1], self.encoder
    encoder = e.init(k_encoder, image)["params"]
    context, spot = jnp.zeros((1, 1, e.size.width)), jnp.zeros((1, 1), int)
    own = self.predictor.init(k_predictor, context, spot, spot)["params"]
    params = {"encoder": encoder, "predictor": own}
    params = initialise.normal_kernels(k_normal, params)
    return {"main": params}, {"target": params["encoder"]}

  def draw(self, key, batch, step):
    """context [b, 1, k], targets [b, t, m] int32; *_valid: not padding."""
    context, targets = rectangles.multi_block(
      key,
      len(batch["image"]),
      grid=self.encoder.grid,
      targets=self.targets,
      target_scale=self.target_scale,
      target_aspect=self.target_aspect,
      context_scale=self.context_scale,
      min_keep=self.min_keep,
    )
    k, m = self.lengths
    c, c_valid = rectangles.ids(context[:, None], k)
    t, t_valid = rectangles.ids(targets, m)
    return {
      "context": c,
      "context_valid": c_valid,
      "targets": t,
      "targets_valid": t_valid,
    }

  def forward(self, params, extra, batch, draws) -> dict[str, jax.Array]:
    """Everything of the loss; rows are (target, context, image), in order.

    Returns:
      context [(c b), k, w], pred and target [(t c b), m, w], valid
      [(t c b), m] and target_full [b, n, w].
    """
    main, images = params["main"], batch["image"]
    flat = lambda name: einops.rearrange(draws[name], "b c k -> (c b) k")
    c, c_valid = flat("context"), flat("context_valid")
    nc, nt = draws["context"].shape[1], draws["targets"].shape[1]
    views = einops.repeat(images, "b ... -> (c b) ...", c=nc)
    s = self.encoder.apply(
      {"params": main["encoder"]},
      views,
      masking.Mask(c, None, None),
      valid=c_valid,
    )["latent"]
    where = lambda x: einops.repeat(x, "b t m -> (t c b) m", c=nc)
    t, t_valid = where(draws["targets"]), where(draws["targets_valid"])
    again = lambda x: einops.repeat(x, "r ... -> (t r) ...", t=nt)
    valid = jnp.concatenate([again(c_valid), t_valid], axis=1)
    pred = self.predictor.apply(
      {"params": main["predictor"]}, again(s), again(c), t, valid
    )
    full = self.encoder.apply({"params": extra["target"]}, images)["latent"]
    full = full.astype(jnp.float32)
    h = einops.repeat(norm.whiten(full), "b ... -> (t c b) ...", t=nt, c=nc)
    target = jax.lax.stop_gradient(masking.take(h, t))
    return {
      "context": s,
      "pred": pred,
      "target": target,
      "valid": t_valid,
      "target_full": full,
    }

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Mean smooth L1; aux: deviation of the targets (0 when collapsed)."""
    out = self.forward(params, extra, batch, draws)
    gap = losses.smooth_l1(out["pred"] - out["target"]).mean(-1)
    spread = out["target_full"].std((0, 1)).mean()
    valid = out["valid"].astype(jnp.float32)
    return masking.masked_mean(gap, valid), {"target_std": spread}

  def after(self, player, params, extra, aux, step):
    """The momentum step of the target encoder."""
    done = step / self.momentum_steps if self.momentum_steps else 0.0
    m = self.momentum + (1 - self.momentum) * jnp.minimum(done, 1.0)
    move = lambda t, p: m * t + (1 - m) * p
    own = params["main"]["encoder"]
    return {"target": jax.tree.map(move, extra["target"], own)}

  def predict(self):
    """Outputs of the target encoder, see `methods.outputs`."""
    encode = lambda target, b, taps: self.encoder.apply(
      {"params": target}, b["image"], taps=taps
    )
    found = outputs.vit(encode, self.encoder.grid, cls=False)
    of_target = lambda fn: lambda p, e, c, b, k: fn(e["target"], e, c, b, k)
    return {name: of_target(fn) for name, fn in found.items()}
