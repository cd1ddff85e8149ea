r"""I2P-MAE: a point encoder that learns from a 2-D teacher of depth images.

Zhang, Wang, Qiao, Gao, Li, CVPR 2023; equal to the authors' code
(ZrrSkywalker/I2P-MAE@7d4e519): `tests/golden` compares depth images, saliency,
masks, encoded tokens, both losses in training and evaluation, and gradients.

Point-M2AE: a cloud is divided into levels of groups (farthest points and their
neighbours); most groups of the top level are hidden, and below those that no
visible one holds. The teacher, a frozen vision transformer, looks at three
depth images of the cloud; its class attention says what is hidden, and its
features are a second target:

    s_g    = mean over views of saliency at centre g of the top level
    order  = argsort(-log u_g / softmax(s)_g)       the first G - int(r G) stay
    z_i    = encoder of level i (visible tokens attend to visible ones)
    d      = decoder(z, mask tokens) on the last level that it has
    L_3d   = mean over hidden groups of Chamfer(W_3 d, members - centre)
    L_2d   = mean over visible groups of (W_2 d - t)^2
             t: the teacher's features at the members, view after view
    loss   = L_3d + weight_2d L_2d

Evaluation: maximum over the top level's tokens of the whole cloud, for a linear
SVM (`evals.probe`, head="svm").

Reference (linear SVM, then fine-tuned): ModelNet40 93.35 (93.4 in the paper),
93.67; ScanObjectNN PB-T50-RS fine-tuned 90.11 (Point-M2AE 86.43).

Differences: `leak=True` is the released mask, in which hidden groups push down
index 0, so that the first token of the whole batch is always visible. There a
rotation is drawn and not used; here `data.points_turn` may be. Statistics of
batch normalisation see hidden groups, as there.

    python -m jmim.main --config=configs/i2p_mae_shapenet.py \
      --config.method.guide.teacher.path=runs/clip --workdir=runs/i2p_mae
"""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.parts import depth_guidance
from jmim.methods.parts import depth_views
from jmim.methods.parts import masked_points
from jmim.nn import batchnorm
from jmim.nn import block
from jmim.nn import points as clouds
from jmim.nn.decoders import points as decoders
from jmim.nn.nets import point_encoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class I2PMAE(method.Method):
  """Masked autoencoder of clouds that a teacher of images guides."""

  per_example: ClassVar[bool] = False  # batch norm; means over what is hidden

  points: int = field.value(2048, "points of a cloud", low=4)
  network: masked_points.MaskedPoints = field.part(
    masked_points.MaskedPoints, "encoder, decoder and heads"
  )
  guide: depth_guidance.Guidance = field.part(
    depth_guidance.Guidance, "teacher of depth images, and what it hides"
  )
  weight_2d: float = field.value(
    1.0, "weight of the 2-D loss; 0: there is no 2-D head", low=0.0
  )
  leak: bool = field.value(
    False, "the first token of the batch is never hidden, as released"
  )
  drop_path: float = field.value(
    0.1, "last block's rate, of encoder and decoder each", low=0, below=1
  )

  @classmethod
  def tiny(cls) -> "I2PMAE":
    """32 points in 12, 6 and 4 groups, a teacher of one block on 3 x 3."""
    return cls(
      points=32,
      network=masked_points.MaskedPoints(
        encoder=point_encoder.TINY, decoder=decoders.Dims(heads=2)
      ),
      guide=depth_guidance.TINY,
      drop_path=0.2,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Clouds [points, 3], normalised (`data.points_*`).

    Raises:
      ValueError: fields that do not go together.
    """
    self.network.check(self.points)
    self.guide.check(self.network.encoder.groups[-1])
    return {"points": method.Input((self.points, 3))}

  def consts(self) -> dict[str, method.Const]:
    """The teacher, if there is one."""
    return self.guide.consts()

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder, decoder and heads; running statistics."""
    features = self.guide.features if self.weight_2d else 0
    params, found = self.network.init(key, batch["points"][:1], features)
    return {"main": params}, {"statistics": found}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, groups of the top] in [0, 1); drop, drop_back [b, blocks, 2].

    drop is the encoder's, drop_back the decoder's.
    """
    del step
    b, net = len(batch["points"]), self.network
    blocks = {"drop": net.encoder.blocks, "drop_back": net.decoder.blocks}
    noise = jax.random.uniform(keys("noise"), (b, net.encoder.groups[-1]))
    drop = block.drop_path_draws(keys, self.drop_path, blocks, b)
    return {"noise": noise, **drop}

  def losses(
    self,
    weights: method.Weights,
    levels: Sequence[clouds.Level],
    guide: depth_views.Guide | None,
    draws: method.Draws,
    train: bool = True,
  ) -> dict[str, Any]:
    """What `MaskedPoints.forward` makes, visible, saliency, both losses.

    Args: as of `loss`; the groups of the clouds, what the teacher sees of
      them (None: nothing), and whether statistics are the batch's.
    """
    guided = guide is not None and self.guide.visible == "saliency"
    saliency = guide.saliency_at(levels[-1].centres) if guided else None
    top = self.guide.keep(draws["noise"], saliency)
    visible = self.network.visible(levels, top, self.leak)
    main, found = weights.params["main"], weights.extra["statistics"]
    out: dict[str, Any] = self.network.forward(
      main, found, levels, visible, train=train, draws=draws
    )
    out |= {"visible": visible, "saliency": saliency}
    level, seen = levels[self.network.last], visible[self.network.last]
    error = clouds.chamfer(out["head_3d"], level.relative)
    out["loss_3d"] = masking.masked_mean(error, ~seen)
    if "head_2d" in out:
      error = jnp.square(out["head_2d"] - guide.features_at(level.members))
      out["loss_2d"] = masking.masked_mean(error.mean((2, 3)), seen)
    return out

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Chamfer distance of hidden groups, features of visible ones."""
    del step, player
    points = batch["points"]
    guide = self.guide.look(weights.consts, points)
    out = self.losses(weights, self.network.divide(points), guide, draws)
    aux = {k: out[k] for k in ("loss_3d", "loss_2d") if k in out}
    total = out["loss_3d"] + self.weight_2d * out.get("loss_2d", 0.0)
    return total, aux | batchnorm.as_aux(out["statistics"])

  def after(self, weights, aux, step, player="main") -> method.Tree:
    """Running statistics."""
    del step, player
    return {**weights.extra, "statistics": batchnorm.from_aux(aux)}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w] of whole clouds, and with a teacher saliency."""
    guided = {"saliency": self.saliency} if self.guide.teacher.exists else {}
    return {"features": self.features, **guided}

  def features(self, weights, batch, key) -> jax.Array:
    """[b, w] maximum over the top level's tokens, nothing hidden."""
    del key
    levels = self.network.divide(batch["points"])
    tokens, _ = self.network.encode(
      weights.params["main"], weights.extra["statistics"], levels
    )
    return tokens[-1].max(1).astype(jnp.float32)

  def saliency(self, weights, batch, key) -> dict[str, jax.Array]:
    """[b] means over groups that are visible: drawn by saliency, or any."""
    points, noise = batch["points"], self.drawn(key, batch)["noise"]
    top = self.network.divide(points)[-1].centres
    return self.guide.kept_saliency(
      weights.consts, points, centres=top, noise=noise
    )

  def groups(self) -> tuple[method.Group, ...]:
    """As released: what has "token" in its name there is not decayed."""
    unread = self.network.encoder.unread(self.network.last)
    still = f"{unread}|{batchnorm.UNMOVED}"
    plain = method.Group(pattern=r"/(embed|down)\d+/", decay=0.0)
    return method.Group(pattern=still, frozen=True), plain
