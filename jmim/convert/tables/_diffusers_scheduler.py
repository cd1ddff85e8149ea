"""How a run noises, in the words of a scheduler of Diffusers.

`DDIMScheduler.from_pretrained(FOLDER)` reads it beside the network, whose
config.json says nothing of it.
"""

from typing import Any

FILE = "scheduler_config.json"
# Schedules that it makes of beta_start and beta_end; others go as a list.
NAMED = ("linear", "scaled_linear")
PREDICTIONS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}
SPACINGS = {"even": "linspace", "trailing": "trailing"}


def write(method: Any) -> dict[str, dict[str, Any]]:
  """Its file, by name; nothing for a prediction that is not there.

  Args:
    method: with `noise`, a process in discrete times, and `sampling`.
  """
  noise, clip = method.noise, method.sampling.clip
  kind = PREDICTIONS.get(getattr(method, "prediction", "eps"))
  if kind is None:
    return {}
  late = noise.spacing == "offset"  # ends at the first time, not in clean data
  named = noise.schedule in NAMED and not noise.zero_snr
  betas = [float(x) for x in noise.process.beta]
  return {
    FILE: {
      "_class_name": "DDIMScheduler",
      "_diffusers_version": "0.30.0",
      "num_train_timesteps": noise.times,
      "beta_start": noise.beta_start,
      "beta_end": noise.beta_end,
      "beta_schedule": noise.schedule if named else "linear",
      "trained_betas": None if named else betas,
      "prediction_type": kind,
      "clip_sample": bool(clip),
      "clip_sample_range": float(clip or 1.0),
      "set_alpha_to_one": not late,
      "steps_offset": int(late),
      "timestep_spacing": SPACINGS.get(noise.spacing, "leading"),
    }
  }
