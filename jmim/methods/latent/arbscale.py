r"""Arbitrary-scale latent diffusion: images of any size from one latent.

Kim and Kim, CVPR 2024 (arXiv 2403.10255). Equal to the authors' code
(zhenshij/arbitrary-scale-diffusion@92399b2): `tests/golden` compares z_t, the
predicted z0, its renderings, and both terms of the alignment; the UNet is that
of `latent.ldm`.

LDM in the latents of `latent.autoencoder_inr`, whose decoder renders at any
size (`first_stage.implicit.side`). With task "lowres" it is shown E of the
image at low resolution, its pixels repeated. The second stage, `align`,
fine-tunes the UNet through the frozen decoder IND:

    z0^  = (z_t - s_t e) / a_t               e = net(z_t, t);  w_t = a_t / s_t
    loss = mean |eps - e|^p + mean |w_t (y - IND(z0^ / scale))|^p     p = 2 or 1

as w_t (z0 - z0^) = -(eps - e). y is the image, all of it or drawn pixels of it.

Reference: not verified; the paper reports better FID and LPIPS, and scales that
agree better, than IDM and LIIF-type upsamplers at 8x faces.

Following the released code: p = 2 is the default though names there say l1;
their LPIPS is computed and not added, so it is not here; latents are divided by
the std of the first batch. Ours: how an image is reduced (antialiased bicubic),
and the mode of its posterior as the condition; alignment may see other sizes
than the image's (`pixels.sides`). The measured scale is no parameter: the
alignment stage must see the same first batch (same data, seed and batch), or be
given it (`latent_scale` of the log as `first_stage.scale`). Weights: family
`arbscale`.

    python -m jmim.main --config=configs/arbscale_shapes.py:autoencoder=AE \
      --workdir=W
    python -m jmim.tools.claim arbscale
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import targets
from jmim.methods.latent import ldm
from jmim.methods.parts import drawn_pixels
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import latent_channels
from jmim.nn import liif
from jmim.nn import losses


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArbScale(ldm.LDM):
  """Diffusion in latents that are decoded at any size."""

  shared = (*ldm.LDM.shared, "side")

  first_stage: stages.FirstStage = field.redefault(
    ldm.LDM,
    "first_stage",
    variant="ae-f4",
    read="images",
    implicit=liif.Dims(),
  )
  noise: gaussian.Gaussian = field.redefault(
    ldm.LDM, "noise", beta_start=1e-4, beta_end=0.015
  )
  sampling: guided.Guided = field.redefault(ldm.LDM, "sampling", steps=200)
  align: bool = field.value(
    False, "second stage: errors of the decoded image are added"
  )
  pixels: drawn_pixels.Pixels = field.part(
    drawn_pixels.Pixels, "truth of the alignment"
  )

  @classmethod
  def tiny(cls) -> "ArbScale":
    """Alignment in 4 x 4 latents of a 16-pixel image, shown at 8 pixels."""
    # Of little noise a step would weigh images a thousand times as latents.
    return field.replace(
      super().tiny(),
      labels=dict(classes=0),
      noise=dict(beta_start=0.3, beta_end=0.6),
      first_stage=dict(variant="kl-f4", implicit=dict(hidden=(8, 8))),
      condition=dict(task="lowres", transformer=0, reduction=2),
      align=True,
      pixels=dict(count=12, sides=(7, 16)),
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images, and what the condition reads."""
    stage = self.first_stage
    if not (stage.net and stage.implicit.hidden):
      raise ValueError(
        f"first_stage.implicit.hidden={stage.implicit.hidden} with "
        f"first_stage.variant {stage.variant!r}: images of any size need an "
        "implicit function behind a decoder; latent.ldm needs none"
      )
    if self.align and (self.prediction, self.first_stage.read) != (
      "eps",
      "images",
    ):
      raise ValueError(
        f"align with prediction {self.prediction!r} and first_stage.read="
        f"{self.first_stage.read!r}: it is of 'eps', and of 'images'"
      )
    if self.align and self.weight != "uniform":
      raise ValueError(
        f"align with weight {self.weight!r}: both of its errors are 'uniform'"
      )
    self.pixels.check()
    return self.plain.inputs()

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of LDM; in the alignment also of pixels."""
    draws = self.plain.draw(keys, batch, step)
    if not self.align:
      return draws
    return draws | self.pixels.draw(keys, (method.batch_size(batch),))

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """That of LDM, or with the error of the image; aux: both terms."""
    if not self.align:
      return super().loss(weights, batch, draws, step, player=player)
    stage = self.first_stage
    weights = stage.settled(weights, batch, draws)
    z = stage.encode(weights, batch, draws)
    shown = self.condition.in_training(
      weights, batch, draws, first_stage=stage, label=self.labels
    )
    pred, eps, _ = self.predicted(weights, z, draws, shown)
    w, truth, made = self.seen(weights, batch, draws, z, pred=pred)
    latent, image = self.terms(pred - eps, w * (truth - made))
    aux = {"loss_latent": latent.mean(), "loss_image": image.mean()}
    aux |= stage.told(weights)
    main, process = weights.params["main"], self.noise.process
    return self.weighting.loss(main, latent + image, draws["t"], process), aux

  def terms(self, *gaps: jax.Array) -> list[jax.Array]:
    """[b] mean of |gap|^p of each gap [b, ...]."""
    distance = losses.DISTANCES[self.error]
    return [distance(gap).reshape(len(gap), -1).mean(-1) for gap in gaps]

  def seen(
    self,
    weights: method.Weights,
    batch: method.Batch,
    draws: method.Draws,
    z: jax.Array,
    *,
    pred: jax.Array,
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(w_t [b, 1, 1], y [b, q, c], IND(z0^ / scale) [b, q, c]) where drawn.

    Args:
      weights: with the frozen decoder, and settled.
      batch: with images [b, n, n, c].
      draws: of `draw`.
      z: latents [b, h, w, c].
      pred: the noise predicted of them.
    """
    x_t, a, s = self.noise.add(z, draws["t"], draws["noise"])
    z0 = targets.to_x0("eps", pred, x=x_t, a=a, s=s)
    stage, params = self.first_stage, weights.consts["first_stage"]
    net, z0 = stage.net, z0 / stage.factor_of(weights)
    z0 = latent_channels.restored(weights, z0, stage.shift)
    features = net.features(params, z0)
    place, cell, truth = self.pixels.at(batch["image"], draws)
    return (a / s)[:, 0], truth, net.query(params, features, place, cell)

  def predict(self) -> dict[str, method.Predict]:
    """As LDM's, of any side; restore at the side of the images alone."""
    outputs = self.plain.predict() | {"errors": self.errors}
    if self.first_stage.implicit.side:  # no truth of another side is known
      outputs.pop("restore", None)
    return outputs

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """eps [b], squared; image [b]: w_t |y - y^| of the drawn pixels."""
    draws = self.drawn(key, batch)
    weights = self.first_stage.settled(weights, batch, draws)
    z, eps = self.first_stage.encode(weights, batch, draws), draws["noise"]
    shown, _ = self.guiding(weights, batch | draws)
    x_t, a, s = self.noise.add(z, draws["t"], eps)
    pred = self.network(weights.params, x_t, draws["t"], shown)
    pred = targets.to_eps(self.prediction, pred, x=x_t, a=a, s=s)
    found = {"eps": ((pred - eps) ** 2).mean((1, 2, 3))}
    if self.first_stage.read == "moments":
      return found
    keys, shape = randomness.Keys(key), (method.batch_size(batch),)
    draws |= self.pixels.draw(keys, shape)
    w, truth, made = self.seen(weights, batch, draws, z, pred=pred)
    return found | {"image": jnp.abs(w * (truth - made)).mean((1, 2))}
