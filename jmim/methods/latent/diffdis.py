r"""DiffDis: a diffusion model that also tells which text belongs to an image.

Huang, Han, Lu, Liang, Zeng, Zhang, Xu, ICCV 2023. Their code is not public:
what the paper's abstract leaves open is chosen here. `latent.ldm` told by
texts, whose UNet (the image branch) serves two tasks, each on its share of a
batch (`parts/shares.py`):

    z, c, e = s E(x); tokens and vector of the text      encoder frozen
    L_gen   = the loss of `latent.ldm`: z_t, t, c
    e'      = sqrt(d) e / |e|;  e_s = a_s e' + n_s eps   `parts/query.py`
    maps    = UNet(z, t = 0, no text)
    p       = branch(e_s, s, maps)                `nn/nets/query_branch.py`
    L_dis   = mean (p - e')^2
    L_con   = InfoNCE(p, e' of the whole batch)          `parts/contrast.py`
    loss    = L_gen + query_weight L_dis + contrast.weight L_con

Chosen here: one transformer block of the branch per scale (levels going down,
the middle, levels going up), the map as its keys and values; the branch writes
nothing into the UNet, which makes images as LDM's does, bit for bit; p is e'
itself and not the noise; e has a schedule of its own, Stable Diffusion's made
to end in pure noise, and s is drawn where at most half of the variance is
signal (`query.signal`): with less noise e can be read in e_s; the empty text
stands for none; half of a batch per task; all weights 1. Texts that are equal
are no wrong answers. A caption never enters the discriminative pass but as e_s.

    query   the vector that noise becomes         `query.steps`, `query.noises`
    text    e / |e|
    match   -mean (e'_k - branch(e'_k noised))^2 of candidates k

Zero-shot: the text k with the greatest cos(query, text_k), or greatest match
(the evaluator `zeroshot`). Text to image is LDM's `sample`.

Reference: +1.65 points over 12 data sets and -2.42 of FID (abstract).

    python -m jmim.main --config=configs/diffdis_scenes.py:text=RUN --workdir=W
    python -m jmim.tools.claim diffdis
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.latent import ldm
from jmim.methods.parts import conditions
from jmim.methods.parts import contrast as contrasts
from jmim.methods.parts import denoisers
from jmim.methods.parts import latent_mode
from jmim.methods.parts import query as queries
from jmim.methods.parts import shares as tasks
from jmim.methods.parts import text as texts
from jmim.nn import norm
from jmim.nn.nets import query_branch

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffDis(ldm.LDM):
  """Text to image and image to text, two tasks of one UNet."""

  dims: denoisers.Dims = field.part(denoisers.UNET, "UNet", was="{}")
  condition: conditions.Condition = field.redefault(
    ldm.LDM, "condition", task="text", transformer=1
  )
  branch: query_branch.Dims = field.part(query_branch.Dims, "text branch")
  query: queries.Query = field.part(queries.Query, "diffusion of the text")
  contrast: contrasts.Contrast = field.part(contrasts.Contrast, "L_con")
  shares: tasks.Shares = field.part(tasks.Shares, "who learns what of a batch")
  query_weight: float = field.value(1.0, "weight of L_dis", low=0.0)
  image_lr: float = field.value(
    1.0, "learning rate of the UNet over the run's", above=0.0
  )

  @classmethod
  def tiny(cls) -> "DiffDis":
    """One level of width 16; texts of five tokens, vectors of six numbers."""
    ids = dict(vocabulary=9, length=5, start=1, end=2, pad=0)
    text = dict(**ids, width=8, depth=1, heads=1, projection=6, path="W")
    return field.replace(
      super().tiny(),
      dims=dict(multipliers=(1,), attend_at=(1,)),
      condition=dict(task="text", text=text),
      query=dict(times=20, beta_start=0.05, beta_end=0.5, trials=2),
      branch=dict(head_width=8),
    )

  @property
  def text(self) -> texts.Text:
    """The frozen text encoder."""
    return dataclasses.replace(self.condition.contexts.text, rt=self.rt)

  @property
  def width(self) -> int:
    """Numbers d of a text's vector."""
    return getattr(self.text, "projection", 0) or self.text.width

  def inputs(self) -> dict[str, method.Input]:
    """Images or moments, and tokens."""
    task, path = self.condition.task, self.condition.text.path
    if task != "text" or not path:
      raise ValueError(
        f"condition.task={task!r} with condition.text.path={path!r}: what is "
        "predicted of an image is the vector of a frozen text encoder"
      )
    self.shares.check("shares.")
    self.query.check("query.")
    self.branch.check(self.dims, "branch.")
    return self.plain.inputs()

  def groups(self) -> tuple[method.Group, ...]:
    """The UNet may learn at a rate of its own."""
    return (method.Group(pattern="^main/net/", lr=self.image_lr),)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Those of LDM, the branch, and ln(1 / temperature)."""
    k_image, k_branch = jax.random.split(key)
    params, extra = super().init(k_image, batch)
    more = {
      "branch": self.branch.init(k_branch, self.dims, self.width, self.rt),
      "log_scale": self.contrast.init(),
    }
    return {"main": params["main"] | more}, extra

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of LDM, and query_t [b], query_noise [b, d]."""
    drawn = self.plain.draw(keys, batch, step)
    return drawn | self.query.draw(keys, (len(drawn["t"]), self.width))

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Both tasks on their shares; aux: the terms, and the scale."""
    b = len(draws["t"])
    weights = self.first_stage.settled(weights, batch, draws)
    total, aux = 0.0, self.first_stage.told(weights)
    generating, discriminating = self.shares.counts(b)
    if generating:
      own = (self.shares.first(x, b, self.shared) for x in (batch, draws))
      total, told = super().loss(weights, *own, step)
      aux |= told | {"loss_generation": total}
    if discriminating:
      terms = self.discriminate(weights, batch, draws)
      total += self.query_weight * terms["loss_query"]
      total += self.contrast.weight * terms["loss_contrast"]
      aux |= terms
    return total, aux

  def discriminate(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, Array]:
    """L_dis, L_con and the share of texts found, of the last examples."""
    b = len(draws["t"])
    own, drawn = (self.shares.last(x, b, self.shared) for x in (batch, draws))
    z = self.first_stage.encode(weights, own, drawn)
    n, ids = len(z), batch["tokens"]
    ids = jnp.concatenate([ids[b - n :], ids[: b - n]])  # their own come first
    e, t = self.embedded(weights, ids), drawn["query_t"]
    x = self.query.add(e[:n], t, drawn["query_noise"])
    p = self.looking(weights, z)(x, t)
    log_scale = weights.params["main"]["log_scale"]
    contrast, hits = self.contrast.loss(log_scale, p, e, ids)
    error = ((p - e[:n]) ** 2).mean()
    return {"loss_query": error, "loss_contrast": contrast, "hits": hits}

  def embedded(self, weights: method.Weights, ids: Array) -> Array:
    """e' [b, d] of tokens [b, l]."""
    e = self.text.encode(weights, {}, ids, pooled=True).pooled
    return jax.lax.stop_gradient(self.query.scaled(e))

  def looking(self, weights: method.Weights, z: Array) -> queries.Denoise:
    """The branch that looks at clean latents z [b, h, w, c]."""
    main, net, b = weights.params["main"], self.net(), len(z)
    ids = self.text.empty(jnp.zeros((1, self.text.length), jnp.int32))
    none = self.text.encode(weights, {}, ids).tokens
    none = jnp.broadcast_to(none, (b, *none.shape[1:]))
    params, t = {"params": main["net"]}, jnp.zeros(b)
    _, taps = net.apply(params, z, t, context=none, method="tapped")
    maps, branch = net.scales(taps), self.branch.net(self.dims, self.rt)
    return lambda x, t: branch.apply({"params": main["branch"]}, x, t, maps)

  def predict(self) -> dict[str, method.Predict]:
    """Those of LDM; query, text and match."""
    more = {"query": self.found, "text": self.said, "match": self.match}
    return self.plain.predict() | more

  def found(self, weights, batch, key) -> Array:
    """[b, d] of length 1: what the images say the vector of their text is."""
    z = latent_mode.latents(self.first_stage, weights, batch)
    look = self.looking(weights, z)
    return self.query.predicted(look, (len(z), self.width), key)

  def said(self, weights, batch, key) -> Array:
    """[b, d] of length 1: the vector of the tokens."""
    return norm.unit(self.embedded(weights, batch["tokens"]))

  def match(self, weights, batch, key) -> Array:
    """[b, k] of "candidates" [b, k, d], vectors of texts, else the batch's."""
    z = latent_mode.latents(self.first_stage, weights, batch)
    e = batch.get("candidates")
    if e is None:
      e = self.said(weights, batch, key)
      e = jnp.broadcast_to(e, (len(z), *e.shape))
    look = self.looking(weights, z)
    return -self.query.errors(look, self.query.scaled(e), key)
