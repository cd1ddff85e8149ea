r"""LaVin-DiT: a flow that is told its task by pairs of pictures.

Wang, Xia, Chen, Yu, Wang, Gong, Liu, CVPR 2025. Equal to the authors' code
(DerrickWang005/LaVin-DiT@f372858, inference only): `tests/golden` compares
noisy latents, both streams after the first block, velocity, loss and guided
velocity. An example is n pairs of one task and a query; their frames are coded
one by one, and a transformer with two streams (`nn/nets/joint_dit.py`) sees
the clean context beside the noisy target of the query:

    x_u  = u x + (1 - u) eps       u = sigmoid(n), n ~ N(0, 1): 1 = data
    v    = net(x_u, u, context)    none with probability 0.1
    loss = mean (v - w)^2 + 0.1 mean |v - w|,   w = x - eps

No context is a zero frame and the query: a shorter sequence, so guidance is
two passes. Samples follow Euler steps between 20 (30, 40) times, half of them
below 0.05 (`noise.grid`), from pairs of the example or of templates of its
task (`context.templates`), drawn with repetition. Latents of their ST-VAE are
1.08936 (z - 0.03247).

Reference (3.4 B, from a public summary): foreground segmentation mIoU 67.87,
detection 68.88, NYUv2 depth AbsRel 6.2, normals MAE 15.90, inpainting FID 1.65.

Following the released code: u = 1 is data (the paper has the other direction);
the L1 term; positions run on through context and target. Not followed: where
all frames are one, they begin at a random one there, which changes nothing, as
rotary positions know differences only. Not published: the rate at which the
context is dropped (0.1 here), weight decay, widths of 0.1 B and 1.0 B.

    python -m jmim.main --config=configs/lavin_dit_shapes.py --workdir=W
    python -m jmim.tools.claim lavin_dit
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import answers
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.methods.parts import in_context
from jmim.methods.parts import visual_tasks
from jmim.nn.nets import joint_dit

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaVinDiT(method.Method):
  """Velocity of a query's target, told by pairs."""

  size: int = field.value(32, "side of what is diffused", low=1)
  channels: int = field.value(16, "channels of what is diffused", low=1)
  dims: joint_dit.Dims = field.part(joint_dit.Dims, "network")
  tasks: visual_tasks.VisualTasks = field.part(
    visual_tasks.VisualTasks, "pairs"
  )
  context: in_context.InContext = field.part(
    in_context.InContext, "pairs and query, as the network sees them"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage, "pictures or latents"
  )
  noise: flow.Flow = field.part(
    flow.Flow, "forward process", grid="linear_quadratic"
  )
  sampling: guided.Guided = field.part(
    guided.Guided,
    "Euler steps",
    sampler="euler",
    steps=19,
    guidance=1.5,
    clip=0.0,
  )
  absolute: float = field.value(0.1, "weight of the absolute error", low=0.0)

  @classmethod
  def tiny(cls) -> "LaVinDiT":
    """Two pairs of 8 pixels, 4 tokens each; two blocks."""
    # The last block's context is read by nothing, and layers are stacked.
    return field.replace(
      cls(),
      size=8,
      channels=3,
      dims=dict(width=24, depth=2, heads=4, kv_group=2, patch=4),
      tasks=dict(trained=("identity", "invert", "inpaint")),
      context=dict(pairs=2, least=1, drop=0.3),
      sampling=dict(steps=3),
    )

  @property
  def shape(self) -> tuple[int, int, int, int]:
    """[f, h, w, c] of what is diffused."""
    return (self.context.target_frames, self.size, self.size, self.channels)

  @property
  def net(self) -> joint_dit.JointDiT:
    """The network."""
    return joint_dit.JointDiT(dims=self.dims, rt=self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Pictures, or frames or moments of pairs.

    Raises:
      ValueError: fields that do not go together.
    """
    context, stage = self.context, self.first_stage
    self.dims.check(self.size)
    context.check(self.tasks.made, self.tasks.count)
    self.sampling.check(context.drop, "context.drop")
    self.noise.check(self.sampling, learns=False)
    if stage.stage.whole:
      raise ValueError(
        f"first_stage.variant {stage.variant!r} of clips: pictures are coded "
        "one by one, first_stage.by_frame=True"
      )
    found = stage.inputs((context.total, *self.shape[1:]))
    return self.tasks.inputs(found, context.pairs + 1)

  def consts(self) -> dict[str, method.Const]:
    """The first stage, to read pictures or to decode, and templates."""
    stage = self.first_stage
    sides = stage.stage.pixels(self.shape)["video"][1:]
    return stage.consts() | self.context.consts(self.tasks.count, sides)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    x, t = jnp.zeros((1, *self.shape)), jnp.zeros(1)
    return {"main": self.net.init(key, x, t, x)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise [b, f, h, w, c] and what the parts draw."""
    del step
    b, pairs = method.batch_size(batch), self.context.pairs + 1
    draws = method.draws_of(keys, (b, *self.shape), self.noise, self.context)
    every = (b, self.context.total, *self.shape[1:])
    draws |= self.first_stage.draw(keys, every)
    return draws | self.tasks.draw(keys, b, pairs)

  def network(
    self, params: method.Tree, x: Array, t: Array, context: Array
  ) -> Array:
    """Velocity [b, f, h, w, c] at times t [b], all of the context seen."""
    return self.net.apply({"params": params["main"]}, x, t, context)["pred"]

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared and absolute error of the velocity."""
    del step, player
    told = self.tasks.told(batch, draws)
    z = self.first_stage.encode(weights, told, draws).astype(jnp.float32)
    context, x = self.context.split(z)
    context, mask = self.context.hidden(context, draws)
    noisy, _, _ = self.noise.add(x, draws["t"], draws["noise"])
    variables = {"params": weights.params["main"]}
    v = self.net.apply(variables, noisy, draws["t"], context, mask)["pred"]
    return self.compared(v, x, draws)

  def compared(self, v: Array, x: Array, draws: method.Draws) -> method.Loss:
    """The loss of velocities v at the drawn times, where x is the data."""
    mse = self.noise.errors(v, x, draws)["flow"].mean()
    l1 = jnp.abs(v - self.noise.velocity(x, draws["noise"])).mean()
    return mse + self.absolute * l1, {"loss_flow": mse, "loss_l1": l1}

  def predict(self) -> dict[str, method.Predict]:
    """sample, solved, errors, by_task (`parts/answers.py`), if it decodes."""
    return answers.of(self) if self.first_stage.decodes else {}

  def sample_reads(self) -> tuple[str, ...]:
    """Pictures or pairs."""
    return tuple(name for name in self.inputs() if name != "label")
