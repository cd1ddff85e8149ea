r"""Step-Video Turbo: few steps, by straight paths between stored pairs.

Ma et al. 2025 (Step-Video-T2V, arXiv 2502.10248); 2-rectified flow (Liu et al.,
ICLR 2023, arXiv 2209.03003). No code of it is public: `tests/methods/video`
holds what the equations say. Samples of a trained model are stored beside the
noise that each was made of (`python -m jmim.tools.make_pairs`), and the model
learns to go from one to the other in a straight line:

    x_t  = (1 - t) noise + t sample          both stored; t is drawn
    loss = mean (net(x_t, t, text) - (sample - noise))^2

Times are dense at both ends, with density e^(a u) + e^(-a u), u = t - 1/2,
a = 5 (`noise.ends`); as the report writes it, of t itself, there would be one
end. Guidance falls while sampling, max(c - 9 t (c - 1), 1), c = 5
(`sampling.guidance_fall`), in 10 to 15 steps with k = 17.

Reference: none that is a number (95,000 samples of 50 calls there). Texts are
dropped as in the base model, which guidance needs. `init_from` names the run
that made the pairs.

    python -m jmim.tools.make_pairs --workdir=RUN --name=pairs --out=DIR
    python -m jmim.main --config=configs/step_video_turbo_shapes.py:base=RUN \
      --workdir=W --config.data.data_dir=DIR
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import flow
from jmim.methods.parts import guided
from jmim.methods.video import step_video

STORED = ("noise", "sample")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepVideoTurbo(step_video.StepVideo):
  """Step-Video on pairs of noise and sample."""

  noise: flow.Flow = field.redefault(
    step_video.StepVideo, "noise", ends=5.0, shift=1 / 17
  )
  sampling: guided.Guided = field.redefault(
    step_video.StepVideo,
    "sampling",
    steps=10,
    guidance=5.0,
    guidance_fall=9.0,
  )

  def inputs(self) -> dict[str, method.Input]:
    """Stored pairs, and what each sample was told."""
    super().inputs()  # checks
    pair = {name: method.Input(self.shape) for name in STORED}
    return pair | self.told.inputs()

  def draw(self, keys, batch, step) -> method.Draws:
    """Those of Step-Video, but for what is stored."""
    drawn = super().draw(keys, batch, step)
    return {name: drawn[name] for name in ("t", "told_drop")}

  def latents(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> jax.Array:
    """Stored samples."""
    del weights, draws
    return batch["sample"]

  def terms(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """flow [b], where noise is that of the pair."""
    return super().terms(weights, batch, draws | {"noise": batch["noise"]})
