"""Masked image modelling and masked diffusion in JAX.

`load` is the whole Python interface; everything else is `python -m jmim.main`.
"""


def load(path: str, weights: str = "raw", host: str | None = None) -> object:
  """A folder or file of weights as a frozen model; see `jmim.hub`.

  Args:
    path: workdir of a run, an export, a folder of the Hugging Face hub, or a
      file in one of these.
    weights: of a run: "raw" or "ema".
    host: of weights that were trained over a frozen host: another one.

  Returns:
    `hub.Model`: `model("features", images)`, `model.sample(16)`.
  """
  import importlib  # noqa: PLC0415  importing jmim must cost nothing

  return importlib.import_module("jmim.hub").load(path, weights, host)
