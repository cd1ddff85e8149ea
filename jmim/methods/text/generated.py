r"""What a vision-language model says of images, and thinks while it says it.

Of each image tokens are drawn once, with the features that each was drawn from,
and stored (`apply.store`): `text.thinkdiff` learns from them and never runs the
model (Mi et al. 2025, section 3: Qwen2-VL-7B, 64 tokens, features after the
last norm).

    y_i ~ softmax(E z_i / 0.6), of the likeliest 0.9       z_i = LM(x, y_{<i})
    stored: z [n, w] and y [n]; the image, to be compared with what is drawn

Any run that offers `generated` will do (`text.captioner`).

    python -m jmim.main --mode=apply --config=configs/generated_scenes.py \
      --workdir=W --config.procedure.captioner.path=runs/captioner \
      --config.apply.store=thoughts
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import procedure
from jmim.methods.text import captioner as captioners


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated(procedure.Procedure):
  """Tokens and features of a frozen captioner."""

  captioner: procedure.Needs = field.part(
    procedure.Needs, "vision-language model"
  )

  @classmethod
  def stand_ins(cls) -> dict[str, captioners.Captioner]:
    """A tiny captioner."""
    return {"captioner": captioners.Captioner.tiny()}

  def models(self) -> dict[str, procedure.Needs]:
    """The captioner."""
    return {"captioner": self.captioner}

  def inputs(self, models) -> dict[str, procedure.Input]:
    """Images."""
    method = models["captioner"].method
    return {n: method.inputs()[n] for n in method.sample_reads()}

  def check(self, models) -> None:
    """Raises ValueError for a model that generates nothing."""
    if "generated" not in models["captioner"].method.predict():
      raise ValueError("captioner is a model without the output 'generated'")

  def draw(self, keys, models, example) -> procedure.Draws:
    """seed [2]: of all that is drawn of the example."""
    return {"seed": jax.random.key_data(keys("seed"))}

  def apply(self, models, fitted, batch, draws) -> procedure.Arrays:
    """generated [b, n, w], generated_tokens [b, n]; image."""
    keys = jax.random.wrap_key_data(draws["seed"])
    made = models["captioner"].output("generated", batch, keys)
    return {**made, "image": batch["image"]}

  def pictures(self) -> tuple[str, ...]:
    """The image."""
    return ("image",)
