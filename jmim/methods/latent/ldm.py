r"""LDM: High-Resolution Image Synthesis with Latent Diffusion Models.

Rombach, Blattmann, Lorenz, Esser, Ommer, CVPR 2022. Equal to the authors' code
(CompVis/latent-diffusion@a506df5): `tests/golden` compares the UNet with a
context, its time embedding, the noise schedule and DDIM.

A UNet, or a DiT with attention to the context in its blocks (`dims.type="dit"`,
ours), denoises in the latent space of a frozen autoencoder:

    z     = s E(x)                           s = 1 / std of the first batch
    x_t   = a_t z + s_t eps                  t ~ U{0..T-1}
    e     = net([x_t, c], t, context)        `parts/conditions.py`
    loss  = mean |eps - e|^p / exp(v_t) + v_t                     p = 2, or 1
            + elbo mean w_t |eps - e|^p              `parts/weighting.py`

v_t is a parameter with `learn_log_var`, else 0; `elbo` is 0 in all models. Of
`diffusion.ddpm`, which it extends, it keeps other predictions than e, and their
weights.

Reference (FID; DDIM): CelebA-HQ 5.11 (200 steps), FFHQ 4.98, LSUN-Churches 4.02
(kl-f8, 400), Bedrooms 2.95; ImageNet LDM-4-G 3.60 (guidance 1.5, 250 steps).

Following the released code: sampling visits times i T // S + 1 and ends at time
0 (`spacing="offset"`), with x0 not clipped; quantised first stages are used
before quantisation and quantise again when they decode; `first_stage.scale=0`
takes s from the first batch, 1 suits VQ. Differs: 10 % dropped contexts for all
tasks; holes are rectangles; low resolution is a bicubic reduction. Weights:
families `ldm_first_stage` and `ldm`.

    python -m jmim.main --config=configs/ldm_digits.py --workdir=W ...
    python -m jmim.tools.claim ldm
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.diffusion import ddpm
from jmim.methods.parts import conditions
from jmim.methods.parts import denoisers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import weighting as loss_weights
from jmim.nn import losses


@dataclasses.dataclass(frozen=True, kw_only=True)
class LDM(ddpm.DDPM):
  """Diffusion on a UNet in the latents of a first stage."""

  per_example = False  # the scale of the first batch
  measures = True

  dims: denoisers.Dims = field.part(denoisers.KINDS, "network", was="{}")
  first_stage: stages.FirstStage = field.redefault(
    ddpm.DDPM, "first_stage", variant="vq-f4", scale=0.0
  )
  noise: gaussian.Gaussian = field.redefault(
    ddpm.DDPM,
    "noise",
    schedule="scaled_linear",
    beta_start=0.0015,
    beta_end=0.0195,
    spacing="offset",
  )
  sampling: guided.Guided = field.redefault(ddpm.DDPM, "sampling", clip=0.0)
  condition: conditions.Condition = field.part(
    conditions.Condition, "condition", was="{}"
  )
  error: str = field.value("l2", "error of the noise", choices=("l1", "l2"))
  weighting: loss_weights.Weighting = field.part(
    loss_weights.Weighting, "weights over times", was="{}"
  )

  @classmethod
  def tiny(cls) -> "LDM":
    """4 x 4 latents of a 16-pixel image, conditioned on three tokens."""
    ids = dict(task="tokens", tokens=3, vocabulary=9, transformer=1)
    return field.replace(
      super().tiny(),
      size=4,
      labels=dict(classes=0),
      first_stage=dict(variant="kl-f4", width=8, blocks=1, path="W"),
      condition=dict(**ids, context=8, token_depth=1, token_heads=1),
    )

  @property
  def plain(self) -> "LDM":
    """What a method that extends this one adds to."""
    names = [f.name for f in dataclasses.fields(LDM)]
    return LDM(**{name: getattr(self, name) for name in names})

  def net(self, dropout: float = 0.0) -> denoisers.Network:
    """The network, without dropout unless it is asked for."""
    options = {"transformer": self.condition.transformer, "rt": self.rt}
    return self.dims.net(out=self.channels, dropout=dropout, **options)

  def inputs(self) -> dict[str, method.Input]:
    """Images or moments, labels, and what the condition reads."""
    stage, classes = self.first_stage, self.labels.classes
    side = self.size * stage.factor
    if self.condition.contexts:
      self.sampling.check(self.labels.drop)
    return super().inputs() | self.condition.inputs(side, stage, classes)

  def consts(self) -> dict[str, method.Const]:
    """The first stage; a frozen text encoder, or features of no text."""
    return super().consts() | self.condition.consts()

  def sample_reads(self) -> tuple[str, ...]:
    """What the condition is made of, but for labels."""
    return self.condition.reads()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; the scale of the latents if it is to be measured."""
    del batch
    k_net, k_condition = jax.random.split(key)
    channels, beside = self.channels, self.condition.channels
    channels += beside.number(channels) if beside else 0
    x, t = jnp.zeros((1, self.size, self.size, channels)), jnp.zeros(1)
    told = self.condition.contexts
    context = {"context": jnp.zeros((1, 1, told.width))} if told else {}
    main = {
      "net": self.net().init(k_net, x, t, **context)["params"],
      "condition": self.condition.init(k_condition, self.labels.classes),
      **self.weighting.init(self.noise.times),
    }
    return {"main": main}, self.first_stage.extra()

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of DDPM and those of the condition."""
    drawn = super().draw(keys, batch, step)
    return drawn | self.condition.draw(keys, (len(drawn["t"]), *self.shape))

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Error of the noise; aux: the same without weights, and the scale."""
    del step, player
    weights = self.first_stage.settled(weights, batch, draws)
    z = self.first_stage.encode(weights, batch, draws)
    shown = self.in_training(weights, batch, draws)
    pred, target, w = self.predicted(weights, z, draws, shown)
    main = weights.params["main"]
    loss, error = self.weighed(main, draws["t"], pred - target, w)
    return loss, {"loss_unweighted": error, **self.first_stage.told(weights)}

  def in_training(self, weights, batch, draws) -> dict[str, Any]:
    """What the network is shown, some of it dropped."""
    more = {"first_stage": self.first_stage, "label": self.labels}
    return self.condition.in_training(weights, batch, draws, **more)

  def weighed(
    self, params: method.Tree, t: jax.Array, gap: jax.Array, w: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """(weighed, plain) error; gap: prediction - target; w: [b, 1, 1, 1]."""
    error = losses.DISTANCES[self.error](gap).mean((1, 2, 3))
    weighed, process = w[:, 0, 0, 0] * error, self.noise.process
    return self.weighting.loss(params, weighed, t, process), error.mean()

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """Keeps the scale of the first batch."""
    del step, player
    return {"scale": aux["latent_scale"]} if weights.extra else weights.extra

  def network(
    self, params: Any, x: jax.Array, t: jax.Array, shown: Any, seed: Any = None
  ) -> jax.Array:
    """[b, h, w, c] noise; shown: context, concat; seed: of dropout, or None."""
    if "concat" in shown:
      x = jnp.concatenate([x, shown["concat"]], axis=-1)
    rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
    net = self.net(self.dims.dropout if rngs else 0.0)
    variables = {"params": params["main"]["net"]}
    return net.apply(variables, x, t, context=shown.get("context"), rngs=rngs)

  def guiding(
    self, weights: method.Weights, batch: method.Batch
  ) -> tuple[Any, Any]:
    """(what the network is conditioned on, the same of none)."""
    classes = self.labels.classes
    return self.condition.guiding(weights, batch, self.first_stage, classes)

  def predict(self) -> dict[str, method.Predict]:
    """errors; sample, and restore where there is an image to compare."""
    outputs = super().predict()
    if "image" in self.condition.reads() and "sample" in outputs:
      outputs["restore"] = self.restore
    return outputs

  def sample(self, weights, batch, key) -> jax.Array:
    """Images; where there is an image with a hole, the hole is filled."""
    channels = self.condition.channels
    if not channels:
      return super().sample(weights, batch, key)
    batch = channels.with_hole(batch, key)
    return channels.fill(super().sample(weights, batch, key), batch)

  def restore(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, H, W, c]: `sample`, to be compared with the batch's own."""
    return {"image": self.sample(weights, batch, key)}
