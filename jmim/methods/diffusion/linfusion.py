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
are the host's plus what is learned (`start="host"`), so a run holds the mixers
alone and can be mounted on another host of the shape.

Reference (COCO-2014, 30,000 captions, guidance 7.5, FID / CLIP score; from
memory): SD-1.5 12.86 / 0.321, LinFusion 12.57 / 0.323.

Sampling is the host's, at any size: `size` is no shape of a parameter, and
`ladder.rungs` doubles a sample by SDEdit. No context is dropped in training
(as released), though `sampling.guidance` has the host's prediction without
one. Differs: the released training starts q, k, v and proj afresh
(`start="fresh"`, which its files need too: family `linfusion`); the paper, and
we, start from the host's.

    python -m jmim.main --config=configs/linfusion_digits.py:stage=host \
      --workdir=HOST
    python -m jmim.main --config=configs/linfusion_digits.py:host=HOST \
      --workdir=W
    python -m jmim.tools.claim linfusion
"""

import dataclasses
import functools
import operator
import re
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import tree as trees
from jmim.diffusion import model
from jmim.diffusion import targets
from jmim.methods.parts import conditions
from jmim.methods.parts import diffusers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import host as hosts
from jmim.methods.parts import labels as classes
from jmim.methods.parts import ladder as ladders
from jmim.nn import linear_attention
from jmim.nn.nets import unet

Array = jax.Array
# (prediction [b, h, w, c], output [b, n, d] of each self-attention).
Tapped = tuple[Array, list[Array]]

BETAS = ("beta_start", "beta_end")
NEW = re.compile(r"_attention/self_\d+/[qk]_features/")
KEPT = re.compile(r"_attention/self_\d+/(q|k|v|proj)/")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinFusion(method.Method):
  """Mixers of linear cost in a frozen latent diffusion model."""

  size: int = field.value(
    64, "side of what is diffused, in pixels or latents", low=1
  )
  channels: int = field.value(4, "channels of what is diffused", low=1)
  dims: unet.Dims = field.part(unet.Dims, "UNet of the host", dropout=0.0)
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f8"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    schedule="scaled_linear",
    beta_start=0.00085,
    beta_end=0.012,
    spacing="offset",
  )
  labels: classes.Labels = field.part(classes.Labels, "labels", drop=0.0)
  condition: conditions.Condition = field.part(
    conditions.Condition,
    "context",
    task="context",
    context=768,
    transformer=1,
  )
  sampling: guided.Guided = field.part(guided.Guided, "sampler", clip=0.0)
  ladder: ladders.Ladder = field.part(ladders.Ladder, "larger samples")
  prediction: str = field.value(
    "eps", "quantity that the host predicts", choices=targets.KINDS
  )
  host: hosts.Host = field.part(hosts.Host, "trained latent diffusion model")
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
    "host", "what q, k, v and proj start from", choices=("host", "fresh")
  )
  taught: float = field.value(
    0.5, "weight of the distance to the host's prediction", low=0.0
  )
  features: float = field.value(
    0.5, "weight of the distance to its attentions' outputs", low=0.0
  )

  @classmethod
  def tiny(cls) -> "LinFusion":
    """4 x 4 images, three vectors as context; it begins far from its host.

    A host of random numbers can be copied, and hardly learns the noise.
    """
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    return field.replace(
      cls(),
      size=4,
      channels=3,
      dims=dict(**small, heads=2, norm_groups=4),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      condition=dict(tokens=3, context=8),
      first_stage=dict(variant="none"),
      sampling=dict(steps=3),
      ladder=dict(rungs=1),
      bottleneck=4,
      start="fresh",
      taught=5.0,
      features=5.0,
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  def net(self, form: str) -> unet.UNet:
    """The host with mixers of that form; with "softmax" it is the host."""
    mixer = functools.partial(
      linear_attention.LinearAttention,
      form=form,
      mid=self.bottleneck,
      chunk=self.chunk,
      tokens=self.tokens,
    )
    options = dict(transformer=self.condition.transformer, rt=self.rt)
    return self.dims.net(
      out=self.channels, dropout=0.0, self_attention=mixer, **options
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images or moments, labels, and what the context is made of."""
    self.dims.check(self.size)
    self.sampling.check()
    self.ladder.check(self.first_stage)
    self.noise.check(self.sampling, learns=False, kind=self.prediction)
    if not self.condition.contexts:
      raise ValueError(
        f"condition.task {self.condition.task!r}: the host's self-attentions "
        "are replaced where it has a context (class, tokens, layout, context)"
      )
    if self.dims.dropout:
      raise ValueError(
        f"dims.dropout={self.dims.dropout}: neither host nor student has any"
      )
    stage, side = self.first_stage, self.size * self.first_stage.factor
    condition = self.condition.inputs(side, stage, self.labels.classes)
    return stage.inputs(self.shape) | self.labels.inputs() | condition

  def sample_reads(self) -> tuple[str, ...]:
    """What the context is made of, but for labels."""
    return self.condition.reads()

  def consts(self) -> dict[str, method.Const]:
    """The host, the first stage, and features of no text."""
    names = [f"noise.{n}" for n in ("schedule", "times", *BETAS)]
    names += ["prediction", *["first_stage.scale"] * bool(self.first_stage.net)]
    value = {n: operator.attrgetter(n)(self) for n in names}
    agrees = {n: (f"method.{n}", x) for n, x in value.items()}
    host = {"host": self.host.const(self.init_host, agrees)}
    return host | self.first_stage.consts() | self.condition.consts()

  def _init_net(self, key, form):
    x, t = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    context = jnp.zeros((1, 1, self.condition.context))
    return self.net(form).init(key, x, t, context=context)["params"]

  def init_host(self, key: Array) -> method.Tree:
    """Parameters as the host's method makes them: net and condition."""
    k_net, k_condition = jax.random.split(key)
    condition = self.condition.init(k_condition, self.labels.classes)
    return {"net": self._init_net(k_net, "softmax"), "condition": condition}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """The mixers' parameters, beside the host's or in their place."""
    del batch
    fresh = trees.named({"net": self._init_net(key, self.form)})
    own = lambda n: NEW.search(n) or self.start == "fresh" and KEPT.search(n)
    new = trees.nested({n: x for n, x in fresh.items() if own(n)})
    kept = KEPT.search if self.start == "host" else lambda name: None
    return {
      "main": {"added": hosts.zeros(self.init_host, kept), "new": new}
    }, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise, posterior, and label_drop [b], of which none falls."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    parts = (self.noise, self.labels, self.first_stage, self.condition)
    return method.draws_of(keys, shape, *parts)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Noise, the host's prediction and its features; aux: each of them."""
    del step, player
    each = terms(*self.both(weights, batch, draws))
    return self.total(each), {f"loss_{n}": x for n, x in each.items()}

  def total(self, each: dict[str, Array]) -> Array:
    """The loss of `terms`."""
    taught = self.taught * each["taught"]
    return each["noise"] + taught + self.features * each["features"]

  def both(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> tuple[Tapped, Tapped, Array]:
    """(student, host, target [b, h, w, c]) at the drawn times."""
    z, t = self.first_stage.encode(weights, batch, draws), draws["t"]
    x_t, a, s = self.noise.add(z, t, draws["noise"])
    target = targets.target(self.prediction, z, eps=draws["noise"], a=a, s=s)
    host = self.merged(weights, {})
    shown = self.condition.in_training(
      host, batch, draws, first_stage=self.first_stage, label=self.labels
    )
    run = functools.partial(self.tapped, x=x_t, t=t, shown=shown)
    theirs = run(host.params["main"], form="softmax")
    own = self.merged(weights, weights.params["main"])
    ours = run(own.params["main"], form=self.form)
    return ours, jax.lax.stop_gradient(theirs), target

  def merged(self, weights: method.Weights, own: Any) -> method.Weights:
    """Weights of the host's method, with own parameters laid over them."""
    tree = hosts.laid(weights.consts["host"], own)
    tree.setdefault("condition", {})  # stored features have no parameters
    return method.Weights({"main": tree}, {}, weights.consts)

  def tapped(
    self, tree: Any, x: Array, t: Array, shown: Any, *, form: str
  ) -> Tapped:
    """Prediction and features of the network with mixers of that form."""
    context = shown["context"]
    pred, taps = self.net(form).apply(
      {"params": tree["net"]}, x, t, context=context, method="tapped"
    )
    return pred, [taps.attention[n] for n in sorted(taps.attention)]

  def network(self, tree: Any, x: Array, t: Array, shown: Any) -> Array:
    """The student's prediction alone."""
    return self.tapped(tree, x, t, shown, form=self.form)[0]

  def predict(self) -> dict[str, method.Predict]:
    """errors [b], and samples where there is a way to images."""
    sample = {"sample": self.sample} if self.first_stage.decodes else {}
    return {"errors": self.errors, **sample}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """Of each image, all shown: squared errors of predictions and features.

    target and host_target, of student and host; taught, between their
    predictions; features, between their features over the host's square.
    """
    draws = self.drawn(key, batch)
    (e, f), (e_host, f_host), target = self.both(weights, batch, draws)
    square = lambda x: jnp.square(x.astype(jnp.float32))
    mean = lambda x: square(x).mean(tuple(range(1, x.ndim)))
    shares = [mean(a - b) / mean(b) for a, b in zip(f, f_host, strict=True)]
    return {
      "target": mean(e - target),
      "host_target": mean(e_host - target),
      "taught": mean(e - e_host),
      "features": sum(shares) / len(shares),
    }

  def sample(self, weights, batch, key) -> Array:
    """Images of side size * 2^rungs (times the first stage's factor)."""
    own = self.merged(weights, weights.params["main"])
    stage, keys = self.first_stage, randomness.Keys(key)
    run = functools.partial(
      self.sampling.sample,
      self.noise,
      functools.partial(self.network, own.params["main"]),
      condition=self.condition.guiding(own, batch, stage, self.labels.classes),
      batch=batch,
      kind=self.prediction,
    )
    z = run(shape=self.shape, key=key)
    for i in range(self.ladder.rungs):
      z, key = self.ladder.twice(weights, z, stage), keys(f"rung {i}")
      z = run(shape=z.shape[1:], key=key, of=z, share=self.ladder.strength)
    return stage.decode(weights, z)

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """A run of it, frozen, without the ladder."""
    own = self.merged(weights, weights.params["main"])
    classes, stage = self.labels.classes, self.first_stage
    return diffusers.of(
      self,
      weights,
      tell=lambda batch: self.condition.guiding(own, batch, stage, classes),
      network=functools.partial(self.network, own.params["main"]),
      kind=self.prediction,
    )


def terms(ours: Tapped, theirs: Tapped, target: Array) -> dict[str, Array]:
  """noise, taught and features, means over all elements, in float32."""
  square = lambda x: jnp.square(x.astype(jnp.float32)).mean()
  features = [square(a - b) for a, b in zip(ours[1], theirs[1], strict=True)]
  return {
    "noise": square(ours[0] - target),
    "taught": square(ours[0] - theirs[0]),
    "features": sum(features) / len(features),
  }
