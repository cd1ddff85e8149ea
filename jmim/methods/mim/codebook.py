r"""A codebook of patches or features, the smallest tokenizer: k-means.

Lloyd 1982; MacQueen 1967 (online). Stage one of methods that predict tokens
(`mim.cae` with tokenizer.source="codebook"), where no trained tokenizer is at
hand:

    x     = pixels of a patch, or (teacher) a frozen ViT's feature of its place
    c_k   = codes, started at random x of the first batch
    q(x)  = argmin_k |x - c_k|^2
    loss  = mean over x and its numbers of (x - c_q(x))^2

Only the nearest code moves, towards what it stands for: k-means by gradient.
By Lloyd's steps, and for features, where these codes start at noise:
`python -m jmim.tools.make_codebook`. There are no published figures. Point
`method.tokenizer.codebook` of the next stage at the workdir.

    python -m jmim.main --config=configs/codebook_cifar10.py --workdir=W ...
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import teacher as teachers
from jmim.methods.parts import vectors as vectorings
from jmim.nn import vq


@dataclasses.dataclass(frozen=True, kw_only=True)
class Codebook(method.Method):
  """k-means over patches of normalised pixels, or over features."""

  size: int = field.value(32, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  patch: int = field.value(4, "side of a patch [pixels]", low=1)
  codes: int = field.value(256, "size of the codebook", low=2)
  teacher: teachers.Teacher = field.part(
    teachers.Teacher,
    "ViT whose features get codes; family none: pixels do",
    family="none",
    layer=-3,
    norm=True,
  )
  mean: tuple = field.value((0.485, 0.456, 0.406), "mean of normalisation")
  std: tuple = field.value((0.229, 0.224, 0.225), "std of normalisation")
  sigmas: tuple = field.value(
    (0.05, 0.1, 0.2), "noise of `stability`, where images are in 0 .. 1"
  )

  @classmethod
  def tiny(cls) -> "Codebook":
    """Eight codes of 16 patches per image."""
    return cls(size=16, codes=8)

  @property
  def vectors(self) -> vectorings.Vectors:
    """What gets codes."""
    names = ("size", "channels", "patch", "teacher", "mean", "std", "rt")
    return vectorings.Vectors(**{name: getattr(self, name) for name in names})

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    return self.vectors.inputs("")

  def consts(self) -> dict[str, method.Const]:
    """The ViT, if there is one."""
    return self.vectors.consts("")

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Random patches of the batch, or with a ViT noise of unit deviation."""
    shape = (self.codes, self.vectors.width)
    if self.teacher.exists:  # whose parameters are not known here
      return {"main": {"codes": jax.random.normal(key, shape)}}, {}
    x = self.vectors.of(method.Weights({}), batch["image"])
    x = x.reshape(-1, x.shape[-1])
    codes = jax.random.choice(key, x, (self.codes,), replace=False)
    return {"main": {"codes": codes}}, {}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared distance to the nearest code; aux: share of codes in use."""
    del draws, step, player
    codes = weights.params["main"]["codes"]
    x = self.vectors.of(weights, batch["image"])
    ids = vq.nearest(x, codes)
    used = jnp.zeros(self.codes).at[ids.ravel()].set(1.0).mean()
    return ((x - codes[ids]) ** 2).mean(), {"codes_used": used}

  @property
  def n_codes(self) -> int:
    """Size of the codebook."""
    return self.codes

  def predict(self) -> dict[str, method.Predict]:
    """features [b, codes]: how often each code occurs; codes [b, n].

    vectors [b, n, d]; stability {noise_<sigma>: [b]}.
    """
    return {
      "features": self.histogram,
      "codes": self.ids,
      "vectors": self.read,
      "stability": self.stability,
    }

  def read(self, weights, batch, key) -> jax.Array:
    """[b, n, d] in raster order: what gets codes; reads no parameters."""
    del key
    return self.vectors.of(weights, batch["image"])

  def ids(self, weights, batch, key) -> jax.Array:
    """[b, n] int32 in raster order, what a second stage of tokens reads."""
    del key
    return self._ids(weights, batch["image"])

  def _ids(self, weights, images):
    x = self.vectors.of(weights, images)
    return vq.nearest(x, weights.params["main"]["codes"])

  def stability(self, weights, batch, key) -> dict[str, jax.Array]:
    """noise_<sigma> [b]: share of codes that the noise leaves alone."""
    of = lambda images: self._ids(weights, images)
    return self.vectors.stability(of, batch, key, self.sigmas)

  def histogram(self, weights, batch, key) -> jax.Array:
    """[b, codes] shares of the patches of an image; sums to 1."""
    ids = self.ids(weights, batch, key)
    return jax.nn.one_hot(ids, self.codes).mean(1)
