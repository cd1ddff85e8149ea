r"""DiffFAE: a face takes pose, expression and light of another one.

Wang et al. 2024 (arXiv 2403.17664, "DiffFAE: Advancing High-fidelity One-shot
Facial Appearance Editing with Space-sensitive Customization and Semantic
Preservation"). No code was released, and there are no goldens: what the paper
leaves open is our choice (below), and `tests/methods/edit` holds the identities
that must be.

x is a picture of the query, s the source: in training another picture of the
same person. R is a rendering of a model of faces with the source's shape and
albedo and the query's parameters n (pose, expression, light):

    z     = E(x)                                     t ~ U{0..999}
    e     = net([z_t, E(R)], time + MLP(n); R, c, i)
    h     = h (1 + a(R)) + b(R)                      each block, from 0
    h     = h (1 + s(i)) + b(i)                      each block, from 0 (AdaIN)
    c     = K tokens: queries that attend to ViT(s)  cross-attention
    i     = W f(s)                                   f: frozen, of identities
    loss  = mean (eps - e)^2 + lambda L_att          lambda = 0.01
    e_g   = e(0) + g (e - e(0))                      g = 1.5 .. 3

L_att holds the attention to token k to region k of x, or, without masks, to
statistics (`parts/attention_regions`). Left out in training, of each example by
itself, are (c, i) with 0.1 and (R, n) with 0.1; both are in e(0) by default
(`told.conditions.guide`).

An edit is a choice of parameters: `edit` takes all three from the query,
`edits` each of `told.rendering.factors` alone, from renderings made so. R must
have the source's albedo: with the query's it would tell who the query is.

Reference: no numbers of the paper were checked. Ours: sizes, the kind of
encoder, forms of R and of L_att, lambda, shares left out, and zeros for what
is; the identity goes through no cross-attention, the parameters are left out
with R; the target's latent is a sample of the posterior, that of R its mean.

    python -m jmim.main --config=configs/difffae_faces.py --workdir=W
    python -m jmim.tools.claim difffae
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import edited_faces
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import told_face
from jmim.nn.nets import rendered_unet
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffFAE(method.Method):
  """Latents denoised, told a source and a rendering."""

  size: int = field.value(32, "side of what is diffused", low=1)
  channels: int = field.value(4, "channels of what is diffused", low=1)
  dims: unet.Dims = field.part(
    unet.Dims,
    "UNet",
    width=192,
    multipliers=(1, 2, 4, 4),
    attend_at=(1, 2, 4),
    heads=8,
    dropout=0.0,
  )
  told: told_face.ToldFace = field.part(
    told_face.ToldFace, "source and rendering"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "images or latents", variant="kl-f8", read="images"
  )
  noise: gaussian.Gaussian = field.part(
    gaussian.Gaussian,
    "forward process",
    schedule="scaled_linear",
    beta_start=0.00085,
    beta_end=0.012,
  )
  sampling: guided.Guided = field.part(
    guided.Guided, "sampler", steps=50, guidance=2.0, clip=0.0
  )

  @classmethod
  def tiny(cls) -> "DiffFAE":
    """Two levels of width 16 on 8 pixels, three tokens, two regions."""
    small = dict(width=16, multipliers=(1, 2), blocks=1, attend_at=(2,))
    vit = dict(variant="S/4", width=8, depth=1, heads=2)
    return field.replace(
      cls(),
      size=8,
      channels=3,
      dims=dict(**small, heads=2, norm_groups=4),
      told=dict(
        rendering=dict(film=4, sizes=(2, 3, 1)),
        source=dict(count=3, encoder=vit, width=6, channels=4),
        attention=dict(side=4, regions=2),
      ),
      first_stage=dict(variant="none"),
      noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
      sampling=dict(steps=3),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  @property
  def sides(self) -> tuple[int, ...]:
    """Of the UNet's levels, finest first."""
    return tuple(self.size >> k for k in range(len(self.dims.multipliers)))

  @property
  def net(self) -> rendered_unet.RenderedUNet:
    """The network."""
    told = self.told
    code = "added" if told.rendering.numbers else ""
    options = dict(transformer=int(told.source.count > 0), code=code)
    net = self.dims.net(out=self.channels, rt=self.rt, **options)
    own = dict(film=told.rendering.film, width=told.source.width, rt=self.rt)
    return rendered_unet.RenderedUNet(net=net, sides=self.sides, **own)

  def inputs(self) -> dict[str, method.Input]:
    """Pictures in -1 .. 1 (image, source, rendering), numbers, regions."""
    self.dims.check(self.size)
    if self.dims.dropout:
      raise ValueError(f"dims.dropout={self.dims.dropout}: this UNet has none")
    attends = {f for f in self.dims.attend_at if self.size // f in self.sides}
    sides = (*(self.size // f for f in attends), self.sides[-1])
    self.told.check(sides, self.sampling.guidance)
    self.sampling.check()
    self.noise.check(self.sampling, learns=False)
    return self.told.inputs(self.first_stage, self.shape)

  def consts(self) -> dict[str, method.Const]:
    """The first stage, and the network that knows identities."""
    return self.first_stage.consts() | self.told.source.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of the UNet, and of what looks at the source."""
    del batch
    k_net, k_source = jax.random.split(key)
    side = self.size * self.first_stage.factor
    z, t = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    told = self.told.blank(side, self.shape)
    main = {"net": self.net.init(k_net, z, t, told)["params"]}
    if self.told.source.count:
      net, picture = self.told.source.net(side), jnp.zeros((1, side, side, 3))
      main["source"] = net.init(k_source, picture)["params"]
    return {"main": main}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise, posterior [b, h, w, c], drop_<name> [b], t_other [b]."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    draws = method.draws_of(keys, shape, self.noise, self.first_stage)
    return draws | self.told.draw(keys, shape, self.noise.times)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Error of the noise, and of the attention; aux: both by themselves."""
    del step, player
    terms = self.faces(weights).terms(batch, draws)
    means = {name: x.mean() for name, x in terms.items()}
    attention = means.get("attention", 0.0)
    total = means["mse"] + self.told.attention.weight * attention
    return total, {f"loss_{name}": x for name, x in means.items()}

  def faces(self, weights: method.Weights) -> edited_faces.EditedFaces:
    """What can be made of faces."""
    return edited_faces.EditedFaces(
      net=self.net,
      weights=weights,
      told=self.told,
      first_stage=self.first_stage,
      noise=self.noise,
      sampling=self.sampling,
      shape=self.shape,
    )

  def predict(self) -> dict[str, method.Predict]:
    """errors; of `EditedFaces` regions, edit, sample and edits."""
    outputs = edited_faces.outputs
    made = outputs(self.faces, self.told, self.first_stage.decodes)
    return {"errors": self.errors} | made

  def sample_reads(self) -> tuple[str, ...]:
    """All but the picture that is to be made, and its regions."""
    return self.told.reads(self.inputs())

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """mse [b] at random times, and attention; nothing is left out."""
    draws = self.told.conditions.whole(self.drawn(key, batch))
    return self.faces(weights).terms(batch, draws)
