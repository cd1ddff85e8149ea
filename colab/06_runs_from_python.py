# %% [markdown]
# # Runs from Python
#
# Everything that the command line does with a run (docs/python.md): change a
# recipe, train with a function of yours that hears each log line, look at the
# curves as arrays, go on, load.

# %%
import jmim

config = jmim.recipe("mae_digits:steps=150", "evals.probe=None")
config.method.mask_ratio = 0.5
config.train.log_steps = 25


def hear(line):
  print(
    f"step {line['step']}: loss {line['loss']:.3f}, epoch {line['epoch']:.1f}"
  )


run = jmim.train(config, "runs/notebook_06", on_log=hear, quiet=True)

# %% [markdown]
# The same call again goes on with it, or does nothing where it is finished.
# Numbers are arrays, over both:

# %%
run = run.resume("train.total_steps=300", quiet=True)
loss = run.metrics["loss"]
print("steps", loss.step)
print("loss", loss.value.round(3))
print({name: round(value, 4) for name, value in run.results.items()})

# %% [markdown]
# ## Data that are a Python object
#
# Anything with `len` and `[i]`: a list of dicts, a data set of torchvision or of
# Hugging Face. Here discs that are drawn when they are read.

# %%
import sys
import types

import numpy as np


class Discs:
  """Discs of two sizes."""

  classes = ("small", "large")

  def __init__(self, count, seed):
    self.seed, self.targets = seed, np.arange(count) % 2

  def __len__(self):
    return len(self.targets)

  def __getitem__(self, i):
    rng = np.random.default_rng((self.seed, i))
    y, x = np.mgrid[:32, :32] - rng.uniform(10, 22, (2, 1, 1))
    inside = x**2 + y**2 < (4 + 5 * self.targets[i]) ** 2
    image = np.where(inside[..., None], rng.integers(100, 256, 3), 40)
    return {"image": image.astype(np.uint8), "label": int(self.targets[i])}


# In a file my_data.py it would be found by its name; here this is the file.
sys.modules["my_data"] = types.ModuleType("my_data")
sys.modules["my_data"].splits = {"train": Discs(800, 0), "test": Discs(200, 1)}

discs = jmim.train(
  jmim.recipe("mae_digits:steps=200", "data.name=my_data.splits"),
  "runs/notebook_06_discs",
  on_eval=lambda line: print(line["eval"], "at step", line["step"]),
  quiet=True,
)
print({k: round(v, 4) for k, v in discs.results.items() if "accuracy" in k})

# %% [markdown]
# ## The model
#
# Frozen: `model(output, images)`.

# %%
model = discs.load()
images = [Discs(200, 1)[i]["image"] for i in range(100)]
features = model("features", images)
large = np.arange(100) % 2 == 1
gap = features[large].mean(0) - features[~large].mean(0)
score = features @ gap
print(model.offers)
print(
  "order of the two kinds along one direction:",
  f"{(score[large][:, None] > score[~large][None]).mean():.1%} of the pairs",
)
