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
H/14 79.3 (300 epochs). Predictors are 384 wide, with 6 blocks behind B, 12
behind L and H, 16 behind g.

What differs: block sizes are drawn once per batch, as theirs, but index lists
are padded to a fixed length and the padding masked out, where the authors cut
all lists to the shortest in the batch (so a batch's size changed its masks;
`masks.context_tokens` cuts ours). Evaluate the target encoder: `features` does.
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
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.methods.parts import momentum
from jmim.methods.parts import multi_block
from jmim.nn import initialise
from jmim.nn import losses
from jmim.nn import norm
from jmim.nn import sizes
from jmim.nn.decoders import ijepa as predictors
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class IJEPA(method.Method):
  """Predicts features of target blocks from a context block."""

  size: int = field.value(224, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: sizes.Dims = field.part(sizes.Dims, "encoder", was="{}", variant="H/14")
  predictor_dims: sizes.Blocks = field.part(
    sizes.Blocks, "predictor", was="predictor_{}", width=384, depth=12, heads=0
  )
  masks: multi_block.MultiBlock = field.part(
    multi_block.MultiBlock, "context and targets", was="{}"
  )
  target: momentum.Momentum = field.part(
    momentum.Momentum, "momentum of the target encoder", was="{}"
  )

  @classmethod
  def tiny(cls) -> "IJEPA":
    """16 patches, two targets."""
    return cls(
      size=16,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      predictor_dims=sizes.Blocks(width=16, depth=1, heads=0),
      masks=multi_block.MultiBlock(targets=2, min_keep=2),
      target=momentum.Momentum(steps=8),
    )

  @property
  def encoder(self) -> vit.ViT:
    """Of the context; the target encoder has the same form."""
    return vit.build(self.dims, self.size, cls=False, rt=self.rt)

  @property
  def predictor(self) -> predictors.Predictor:
    """From context to targets."""
    e = self.encoder
    size = self.predictor_dims.size(self.dims.mlp_ratio or 4.0, e.size)
    return predictors.Predictor(
      size=size, grid=e.grid, out=e.size.width, rt=self.rt
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    self.dims.check(self.size)
    self.predictor_dims.check("predictor_", self.dims.size)
    self.masks.check(self.encoder.grid)
    return {"image": method.Input((self.size, self.size, self.channels))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Kernels N(0, 0.02^2); the target starts as a copy of the encoder."""
    k_encoder, k_predictor, k_normal = jax.random.split(key, 3)
    image, e = batch["image"][:1], self.encoder
    encoder = e.init(k_encoder, image)["params"]
    context, spot = jnp.zeros((1, 1, e.size.width)), jnp.zeros((1, 1), int)
    predictor = self.predictor.init(k_predictor, context, spot, spot)["params"]
    params = {"encoder": encoder, "predictor": predictor}
    params = initialise.normal_kernels(k_normal, params)
    return {"main": params}, {"target": params["encoder"]}

  def draw(self, keys, batch, step) -> method.Draws:
    """context [b, 1, k], targets [b, t, m] int32; *_valid: not padding."""
    del step
    key, b = keys("blocks"), len(batch["image"])
    return self.masks.draw(key, b, self.encoder.grid)

  def forward(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """Everything of the loss; rows are (target, context, image), in order.

    Returns:
      context [(c b), k, w], pred and target [(t c b), m, w], valid
      [(t c b), m] and target_full [b, n, w].
    """
    main, images = weights.params["main"], batch["image"]
    flat = lambda name: einops.rearrange(draws[name], "b c k -> (c b) k")
    ids, ids_valid = flat("context"), flat("context_valid")
    c, t = draws["context"].shape[1], draws["targets"].shape[1]
    s = self.encoder.apply(
      {"params": main["encoder"]},
      einops.repeat(images, "b ... -> (c b) ...", c=c),
      ids,
      valid=ids_valid,
    )["latent"]
    # A sequence of the predictor per (target, context, image).
    places = lambda x: einops.repeat(x, "b t m -> (t c b) m", c=c)
    target_ids, valid = places(draws["targets"]), places(draws["targets_valid"])
    per_target = lambda x: einops.repeat(x, "r ... -> (t r) ...", t=t)
    pred = self.predictor.apply(
      {"params": main["predictor"]},
      per_target(s),
      per_target(ids),
      target_ids,
      valid=jnp.concatenate([per_target(ids_valid), valid], axis=1),
    )
    target = {"params": weights.extra["target"]}
    full = self.encoder.apply(target, images)["latent"].astype(jnp.float32)
    h = einops.repeat(norm.whiten(full), "b ... -> (t c b) ...", t=t, c=c)
    return {
      "context": s,
      "pred": pred,
      "target": jax.lax.stop_gradient(masking.take(h, target_ids)),
      "valid": valid,
      "target_full": full,
    }

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean smooth L1; aux: std of the targets (0 when collapsed)."""
    del step, player
    out = self.forward(weights, batch, draws)
    distance = losses.smooth_l1(out["pred"] - out["target"]).mean(-1)
    loss = masking.masked_mean(distance, out["valid"].astype(jnp.float32))
    return loss, {"target_std": out["target_full"].std((0, 1)).mean()}

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """The momentum step of the target encoder."""
    del aux, player
    encoder, target = weights.params["main"]["encoder"], weights.extra["target"]
    return {"target": self.target.update(target, encoder, step)}

  def predict(self) -> dict[str, method.Predict]:
    """Outputs of the target encoder, see `methods.outputs`."""
    encode = outputs.encoder(self.encoder, lambda w: w.extra["target"])
    return outputs.vit(encode, self.encoder.grid, cls=False)
