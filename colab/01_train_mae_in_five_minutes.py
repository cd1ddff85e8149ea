# %% [markdown]
# # Train a masked autoencoder in five minutes
#
# A masked autoencoder (MAE, He et al. 2022) sees 40 % of an image and paints
# the rest. Here it learns from 1,797 real handwritten digits scattered over
# coloured canvases, which are built from a package: nothing is downloaded. On
# two CPU cores this takes two or three minutes.

# %% [markdown]
# ## Train
#
# One recipe, one folder. Every key of the config is a flag; this run is cut to
# 400 steps and evaluated every 200. Running the cell again resumes it.

# %%
# !$JMIM --config=configs/mae_digits.py:steps=400 --workdir=runs/notebook_01 --config.evals.recon.every_steps=200 --config.evals.probe.every_steps=200 --config.evals.loss=None

# %% [markdown]
# ## What it learned
#
# `metrics.jsonl` holds every number that was measured: one line per log point
# and per evaluation. The probe is a linear classifier on the encoder's patch
# tokens; its two reference lines are the same classifier on raw pixels and on
# the untrained encoder.

# %%
import json
import pathlib

import matplotlib.pyplot as plt

folder = pathlib.Path("runs/notebook_01")
lines = [json.loads(x) for x in (folder / "metrics.jsonl").open()]
train = [x for x in lines if "lr" in x]
probe = [x for x in lines if "probe/accuracy" in x]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.semilogy([x["step"] for x in train], [x["loss"] for x in train])
left.set(title="loss", xlabel="step")
right.plot(
  [x["step"] for x in probe], [x["probe/accuracy"] for x in probe], "o-"
)
right.axhline(probe[-1]["probe/untrained_accuracy"], ls="--", label="untrained")
right.axhline(probe[-1]["probe/pixels_accuracy"], ls=":", label="raw pixels")
right.set(title="linear probe [%]", xlabel="step")
right.legend()
plt.show()

# %% [markdown]
# Held-out images: original, what the encoder saw, and the reconstruction, after
# 200 steps and at the end. The digit begins to be guessed; 400 steps are too few
# to beat the colour of the nearest visible pixel, which the whole run does.

# %%
pictures = sorted((folder / "images").glob("recon*.png"))
figure, axes = plt.subplots(1, 2, figsize=(9, 6))
for axis, path in zip(axes, (pictures[0], pictures[-1]), strict=True):
  axis.imshow(plt.imread(path))
  axis.set_title(f"step {int(path.stem[-8:])}")
  axis.axis("off")
plt.show()

# %% [markdown]
# ## The report
#
# The run has kept a page about itself: curves, pictures with a slider, results,
# recipe, hardware. Open it in a browser (Colab: download it from the files on
# the left).

# %%
from IPython import display

display.FileLink(str(folder / "report.html"))

# %% [markdown]
# ## Use it
#
# Three lines make a frozen feature extractor of any run.

# %%
import jmim
from jmim.data import sources

model = jmim.load(folder)
test = sources.build("digits/scattered", "test")
images = [test[i]["image"] for i in range(256)]
vectors = model("features", images)
print(model.offers, vectors.shape)

# %% [markdown]
# Which of the other test images is nearest to each of the first six? Averaged
# over the canvas, features tell its colours first and the digit second: the
# probe above reads all tokens.

# %%
import numpy as np

from jmim.data import decode

unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
near = np.argsort(-(unit[:6] @ unit.T), axis=1)[:, :6]  # the image itself first
figure, axes = plt.subplots(6, 6, figsize=(5, 5))
for axis, i in zip(axes.flat, near.flat, strict=True):
  axis.imshow(decode.decode(images[i], 3))
  axis.axis("off")
plt.show()

# %% [markdown]
# ## Next
#
# * the whole run: the same command without `:steps=400` (1000 steps);
# * images of your own: notebook 07 and docs/own_images.md; photographs:
#   `configs/mae_cifar10.py`;
# * masked diffusion: notebook 02; your own method: notebook 03.
