r"""CUE: Low-Light Image Enhancement with Customized Learnable Priors.

Zheng, Zhou, Zhang, Yu, Zhao, ICCV 2023. Equal to the authors' code
(zheng980629/CUE@1682c22): `tests/golden` compares light, reflectance, noise,
output, and each of the losses.

    I       = L R + N               unfolded steps with shared weights, told
                                    by the encoder of a prior of light
                                    (`nn/nets/retinex.py`)
    L'      = A([L, ratio]),  R' = B(R)         `nn/nets/fuse.py`
    output  = L' R'
    loss    = eleven terms of L, R, N, L', R' and of L_t, R_t, found in the true
              image the same way (`methods/parts/retinex.py`)
            + 0.001 mean |P(output) - P(true)|  P: frozen encoder of
                                                `restore.cue_noise`

Three runs: `restore.cue_light` and `restore.cue_noise` on normal images, then
this one, which begins at the first's encoder (`init_from`), tunes it, and reads
the second (`prior.path`).

Reference (LOL, PSNR in dB, from memory, unverified): 21.7 to 21.9.

Following the released code: steps alpha and beta are constants, mu is learned;
its unused second modulation is left out. Differs: P sees the same patches of
both images (`prior.shared_mask`; the code masks them apart). Ablations:
`unfold.modulate=False`, `losses.prior=0`. Weights: family `cue`.

    python -m jmim.main --config=configs/cue_cifar10.py --workdir=W
    python -m jmim.tools.claim cue
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import degraded as degraded_parts
from jmim.methods.parts import masked_prior
from jmim.methods.parts import retinex as losses_parts
from jmim.nn import resize
from jmim.nn.nets import fuse as fuse_nets
from jmim.nn.nets import retinex

Array = jax.Array
LIMITS = (0.0, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CUE(method.Method):
  """Unfolded Retinex with two masked priors."""

  per_example = False  # slopes are scaled over the batch

  size: int = field.value(224, "image side [pixels]", low=4)
  unfold: retinex.Dims = field.part(retinex.Dims, "unfolded steps")
  fuse: fuse_nets.Dims = field.part(
    fuse_nets.Dims, "adjustment and restoration"
  )
  ratio: float = field.value(5.0, "constant beside the light in the adjustment")
  losses: losses_parts.Losses = field.part(losses_parts.Losses, "losses")
  prior: masked_prior.MaskedPrior = field.part(
    masked_prior.MaskedPrior, "prior of noise"
  )
  degraded: degraded_parts.Degraded = field.part(
    degraded_parts.Degraded, "dark images", degradation="low_light", factor=1
  )

  @classmethod
  def tiny(cls) -> "CUE":
    """An 8-pixel image, one step of width 4, a prior of one block."""
    dims = dict(variant="Ti/4", width=8, depth=1, heads=2)
    return field.replace(
      cls(),
      size=8,
      unfold=dict(stage=2, width=4, prior_width=2),
      fuse=dict(width=4, levels=2),
      prior=dict(dims=dims, mask_ratio=0.5),
    )

  @property
  def unfolding(self) -> retinex.Unfolding:
    """I to L, R, N."""
    return self.unfold.net(self.rt)

  def net(self, out: int) -> fuse_nets.FuseNet:
    """A (of 1 channel) or B (of 3)."""
    return self.fuse.net(out, self.rt)

  @property
  def multiple(self) -> int:
    """Of which sides have to be one."""
    return 2 ** max(2, self.fuse.levels - 1)

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of an image."""
    return (self.size, self.size, 3)

  def inputs(self) -> dict[str, method.Input]:
    """Images in 0 .. 1, or pairs of them."""
    if self.size % self.multiple or self.fuse.width % 2:
      raise ValueError(
        f"size {self.size} must divide by {self.multiple}, fuse.width "
        f"{self.fuse.width} by 2"
      )
    if self.degraded.factor != 1:
      raise ValueError(f"degraded.factor {self.degraded.factor}: set it to 1")
    if self.losses.prior:
      self.prior.dims.check(self.size, prefix="prior.dims.")
    return self.degraded.inputs(self.shape, LIMITS)

  def consts(self) -> dict[str, method.Const]:
    """P, where it is read."""
    if not self.losses.prior:
      return {}
    return {masked_prior.NAME: self.prior.const(self.size)}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the three networks; no extra state."""
    del batch
    k_unfold, k_adjust, k_restore = jax.random.split(key, 3)
    image = jnp.zeros((1, *self.shape))
    main = {
      "unfold": self.unfolding.init(k_unfold, image)["params"],
      "adjust": self.net(1).init(k_adjust, image[..., :2])["params"],
      "restore": self.net(3).init(k_restore, image)["params"],
    }
    return {"main": main}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """Numbers of the degradation; made, truth: see `masked_prior`."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    parts = (self.degraded, *([self.prior] if self.losses.prior else []))
    return method.draws_of(keys, shape, *parts)

  def decompose(self, params: method.Tree, images: Array) -> dict[str, Array]:
    """light, reflectance, noise of [b, h, w, 3]; see `retinex.Unfolding`."""
    return self.unfolding.apply({"params": params["unfold"]}, images)

  def enhance(
    self, params: method.Tree, found: dict[str, Array]
  ) -> dict[str, Array]:
    """What `decompose` found, and enhanced (L'), restored (R'), image."""
    light, reflectance = found["light"], found["reflectance"]
    told = jnp.concatenate([light, jnp.full_like(light, self.ratio)], axis=-1)
    enhanced = self.net(1).apply({"params": params["adjust"]}, told)
    restored = self.net(3).apply({"params": params["restore"]}, reflectance)
    image = enhanced * restored
    return {**found, "enhanced": enhanced, "restored": restored, "image": image}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """All terms, which are logged."""
    del step, player
    low, truth = self.degraded.pair(batch, draws, LIMITS)
    seen, true = self.both(weights.params["main"], low, truth)
    terms = self.losses.terms(low, truth, seen=seen, true=true)
    if self.losses.prior:
      prior = weights.consts[masked_prior.NAME]
      moved = self.prior.distance(prior, seen["image"], truth, draws)
      terms["prior"] = self.losses.prior * moved
    return sum(terms.values()), terms

  def both(
    self, params: method.Tree, low: Array, truth: Array
  ) -> tuple[dict[str, Array], dict[str, Array]]:
    """What is found in dark images, and enhanced, and in true ones."""
    pairs = einops.rearrange([low, truth], "two b h w c -> (b two) h w c")
    found = self.decompose(params, pairs)
    seen, true = ({k: x[i::2] for k, x in found.items()} for i in (0, 1))
    return self.enhance(params, seen), true

  def predict(self) -> dict[str, method.Predict]:
    """restore, factors, gained."""
    names = ("restore", "factors", "gained")
    return {name: getattr(self, name) for name in names}

  def restore(self, weights, batch, key) -> dict[str, Array]:
    """image, target and input [b, h, w, 3]."""
    del key
    low, truth = self.degraded.fixed(batch, LIMITS)
    params, (h, w) = weights.params["main"], low.shape[1:3]
    found = self.decompose(params, resize.reflected(low, self.multiple))
    image = self.enhance(params, found)["image"][:, :h, :w]
    return self.degraded.output(image, low, truth)

  def factors(self, weights, batch, key) -> dict[str, Array]:
    """light, reflectance, noise, enhanced, restored, image of dark images."""
    del key
    low, _ = self.degraded.fixed(batch, LIMITS)
    params = weights.params["main"]
    return self.enhance(params, self.decompose(params, low))

  def gained(self, weights, batch, key) -> dict[str, Array]:
    """As `restore`: the dark image times the one factor that fits best."""
    del weights, key
    low, truth = self.degraded.fixed(batch, LIMITS)
    over = lambda x: x.sum((1, 2, 3), keepdims=True)
    gain = over(low * truth) / jnp.maximum(over(low * low), 1e-8)
    return self.degraded.output(gain * low, low, truth)
