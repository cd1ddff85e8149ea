# %% [markdown]
# # Masked diffusion: UMD
#
# UMD (Hansen-Estruch et al. 2024) trains one network for two jobs: half of the
# images are clean with 75 % of their patches hidden, as in MAE; the others are
# noised to a random time, as in a diffusion transformer, with fewer patches
# hidden. The result encodes like the one and samples like the other. Here on
# 8 x 8 digits, conditional on the digit, which trains in minutes on a CPU.

# %% [markdown]
# ## Train
#
# `classes=10` makes it conditional. The first run of a method is cut short
# here: 1200 steps instead of the recipe's 1500.

# %%
# !$JMIM --config=configs/umd_digits.py:steps=1200,classes=10 --workdir=runs/notebook_02 --config.evals.samples.every_steps=600 --config.evals.probe=None --config.evals.errors=None

# %% [markdown]
# ## One network, two losses

# %%
import json
import pathlib

import matplotlib.pyplot as plt

folder = pathlib.Path("runs/notebook_02")
lines = [json.loads(x) for x in (folder / "metrics.jsonl").open()]
train = [x for x in lines if "lr" in x]
names = [k for k in train[0] if k.startswith("loss")]
figure, axis = plt.subplots(figsize=(6, 3))
for name in names:
  axis.plot([x["step"] for x in train], [x[name] for x in train], label=name)
axis.set(xlabel="step", yscale="log")
axis.legend()
plt.show()

# %% [markdown]
# It fills in what is hidden: original, masked, reconstruction.

# %%
from IPython import display

display.Image(str(max((folder / "images").glob("recon*.png"))), width=420)

# %% [markdown]
# And it samples. Each picture of the evaluator starts from the same noise, so
# two differ only by training: steps 600 and 1200.

# %%
pictures = sorted((folder / "images").glob("samples*.png"))
figure, axes = plt.subplots(1, len(pictures), figsize=(10, 3))
for axis, path in zip(axes, pictures, strict=True):
  axis.imshow(plt.imread(path))
  axis.set_title(f"step {int(path.stem[-8:])}")
  axis.axis("off")
plt.show()

# %% [markdown]
# ## Sample from the command line
#
# Image i is a function of (seed, i) and of nothing else, so the same command
# resumes and a larger `--num` continues. The recipe is that of the run;
# `--guidance`, `--sampler` and `--steps` change how.

# %%
# !$JMIM --mode=sample --workdir=runs/notebook_02 --num=20 --steps=20 --guidance=2

# %% [markdown]
# ## Sample from Python
#
# Ten of each of three digits, a row per digit.

# %%
import numpy as np

import jmim

model = jmim.load(folder)
samples = np.stack([model.sample(10, label=k)[..., 0] for k in (0, 3, 7)])
framed = np.pad(samples, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=128)
plt.imshow(np.vstack([np.hstack(row) for row in framed]), cmap="gray")
plt.axis("off")
plt.show()

# %% [markdown]
# Zeros come out, the other digits half-way: the network is small and the training
# short (the recipe has 1500 steps). `python -m jmim.tools.claim umd` compares UMD with MAE and DiT as its
# paper does. Nine schedules, nine samplers and what guidance is: docs/diffusion.md.
