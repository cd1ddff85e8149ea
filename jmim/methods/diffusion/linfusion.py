r"""LinFusion: attention of linear cost, distilled into a frozen UNet.

Liu, Yu, Tan, Wang 2024 (arXiv 2409.02097). Equal to the authors' code
(Huage001/LinFusion@62ef289): `tests/golden` compares the attention, whole and
in its parts, and the loss.

Host: a trained `latent.ldm` with a context. The student is the same network
with other self-attentions, `nn/linear_attention.py`; all else is frozen:

    x_t    = a_t z + s_t eps                           t ~ U{0..T-1}
    y      = eps, or v, as the host predicts
    e, f_l = student(x_t, t, context),  e', f'_l = host(x_t, t, context)
    loss   = |e - y|^2 + 0.5 |e - e'|^2 + 0.5 mean_l |f_l - f'_l|^2

f_l: output of self-attention l, after its projection and before the residual,
in the student's own forward pass. Means over all elements. q, k, v and proj
are the host's plus what is learned, so a run holds the mixers alone and can be
mounted on another host of the shape.

Reference (COCO-2014, 30,000 captions, guidance 7.5, FID / CLIP score; from
memory): SD-1.5 12.86 / 0.321, LinFusion 12.57 / 0.323.

Sampling is the host's, at any size: `size` is no shape of a parameter, and
`ladder.rungs` doubles a sample by SDEdit. As released, no context is dropped in
training; `labels.drop` is what the host was trained with. The first term is
weighted as the host's loss was (`weight`, `error`, `weighting`). Differs: the
released training starts q, k, v and proj afresh (`mixers.start="fresh"`, which
its files need too: family `linfusion`); the paper, and we, at the host's.

    python -m jmim.main --config=configs/linfusion_digits.py:stage=host \
      --workdir=HOST
    python -m jmim.main --config=configs/linfusion_digits.py:host=HOST \
      --workdir=W
    python -m jmim.tools.claim linfusion
"""

import dataclasses
import functools

import jax

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import model
from jmim.diffusion import targets
from jmim.diffusion import weights as loss_weights
from jmim.methods.latent import ldm
from jmim.methods.parts import conditions
from jmim.methods.parts import copying as copies
from jmim.methods.parts import denoisers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import host as hosts
from jmim.methods.parts import ladder as ladders
from jmim.methods.parts import latent_channels
from jmim.methods.parts import mixers as mixing
from jmim.nn.nets import unet


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinFusion(ldm.LDM):
  """Mixers of linear cost in a frozen latent diffusion model."""

  per_example = True
  measures = False

  dims: denoisers.Dims = field.part(denoisers.UNET, "UNet", was="{}")
  first_stage: stages.FirstStage = field.redefault(
    ldm.LDM, "first_stage", variant="kl-f8", scale=0.18215
  )
  condition: conditions.Condition = field.redefault(
    ldm.LDM, "condition", task="context", context=768, transformer=1
  )
  host: hosts.Host = field.part(hosts.Host, "trained latent diffusion model")
  mixers: mixing.Mixers = field.part(mixing.Mixers, "attention of the student")
  copying: copies.Copying = field.part(copies.Copying, "weights of copies")
  ladder: ladders.Ladder = field.part(ladders.Ladder, "larger samples")

  @classmethod
  def tiny(cls) -> "LinFusion":
    """4 x 4 images, three vectors as context; it begins far from its host.

    A host of random numbers can be copied, and hardly learns the noise.
    """
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    return field.replace(
      cls(size=4, channels=3),
      dims=dict(**small, heads=2, norm_groups=4),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      condition=dict(tokens=3, context=8),
      first_stage=dict(variant="none"),
      sampling=dict(steps=3),
      ladder=dict(rungs=1),
      mixers=dict(bottleneck=4, start="fresh"),
      copying=dict(prediction=5.0, features=5.0),
    )

  def net(self, dropout: float = 0.0) -> unet.UNet:
    """The student: the network of the host with other self-attentions."""
    return super().net(dropout).clone(self_attention=self.mixers.plug)

  def inputs(self) -> dict[str, method.Input]:
    """What the host's method reads."""
    self.ladder.check(self.first_stage)
    if not self.condition.contexts:
      raise ValueError(
        f"condition.task {self.condition.task!r}: the host's self-attentions "
        "are replaced where it has a context (class, tokens, layout, context)"
      )
    if self.dims.dropout:
      raise ValueError(f"dims.dropout={self.dims.dropout}: no student has any")
    if self.first_stage.measured:
      raise ValueError("first_stage.scale 0: give the one that the host has")
    return self.plain.inputs()

  def consts(self) -> dict[str, method.Const]:
    """The host, and what its method has."""
    agrees = {"prediction": ("method.prediction", self.prediction)}
    agrees |= self.noise.agrees() | latent_channels.agrees(self.first_stage)
    same = dict(agrees=agrees, dims=self.dims, whole=True)
    host = self.host.const(self.init_host, **same)
    return super().consts() | {"host": host}

  def init_host(self, key: jax.Array) -> method.Tree:
    """Parameters as the host's method makes them: net and condition."""
    return self.plain.init(key, {})[0]["main"]

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """The mixers' parameters, beside the host's or in their place."""
    student = super().init(key, batch)[0]["main"]
    return {"main": self.mixers.own(student, self.init_host)}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise and posterior [b, h, w, c]."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    return method.draws_of(keys, shape, self.noise, self.first_stage)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Noise, the host's prediction and its features; aux: each of them."""
    del step, player
    ours, theirs, (target, w) = self.both(weights, batch, draws)
    host, t = weights.consts["host"], draws["t"]
    noise, _ = self.weighed(host, t, ours[0] - target, w)
    each = {"noise": noise, **copies.terms(ours, theirs)}
    return self.copying.total(each), {f"loss_{n}": x for n, x in each.items()}

  def both(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> tuple[copies.Seen, copies.Seen, tuple[jax.Array, jax.Array]]:
    """(student, host, (target, its weights)) at the drawn times."""
    z, t = self.first_stage.encode(weights, batch, draws), draws["t"]
    x, a, s = self.noise.add(z, t, draws["noise"])
    target = targets.target(self.prediction, z, eps=draws["noise"], a=a, s=s)
    w = loss_weights.make(self.weight, self.prediction, a, s)
    own = self.merged(weights)
    shown, _ = self.guiding(own, batch)
    see = functools.partial(copies.see, x=x, t=t, **shown)
    ours = see(self.net(), own.params["main"]["net"])
    theirs = see(self.plain.net(), weights.consts["host"]["net"])
    return ours, jax.lax.stop_gradient(theirs), (target, w)

  def merged(self, weights: method.Weights) -> method.Weights:
    """Weights of the host's method, the own ones laid over them."""
    tree = hosts.laid(weights.consts["host"], weights.params["main"])
    return method.Weights({"main": tree}, {}, weights.consts)

  def predict(self) -> dict[str, method.Predict]:
    """errors, and samples where there is a way to images."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"errors": self.errors, **sample}

  def errors(self, weights, batch, key) -> dict[str, jax.Array]:
    """[b] each, at random times: see `copies.errors`."""
    draws = self.drawn(key, batch)
    ours, theirs, (target, _) = self.both(weights, batch, draws)
    return copies.errors(ours, theirs, target)

  def sample(self, weights, batch, key) -> jax.Array:
    """Images of side size * 2^rungs (times the first stage's factor)."""
    own = self.merged(weights)
    if not self.ladder.rungs:  # its key is that of one sampler: the host's
      return super().sample(own, batch, key)
    keys = randomness.Keys(key)
    again = functools.partial(
      self.sampling.sample,
      self.noise,
      functools.partial(self.network, own.params),
      condition=self.guiding(own, batch),
      batch=batch,
      kind=self.prediction,
    )
    image = super().sample(own, batch, keys("image"))
    return self.ladder.climb(
      again, image, weights=own, first_stage=self.first_stage, keys=keys
    )

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """A run of it, frozen, without the ladder."""
    return super().diffuser(self.merged(weights))
