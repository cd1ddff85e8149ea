"""The adapter of DiffRate on heads, MLPs and blocks that no given case has.

The reference is the card's text in float64.
"""

import types

import golden_kit
import numpy as np
import pytest
import scipy.special

SIDE, PATCH, WIDTH, HEADS, DEPTH, CLASSES, RATIO = 12, 3, 8, 2, 3, 4, 2
N = (SIDE // PATCH) ** 2
MODES = {
  "mean of patches, last block untouched": ("fc_norm", 3, [0, 2]),
  "class token, no block untouched": ("norm", 5, []),
}


def parameters(final, granularity, untouched):
  rng, found = np.random.default_rng(3), {}

  def add(name, *shape, bias=True):
    norm = "norm" in name
    w = 0.4 * rng.normal(size=shape) + norm
    found[f"{name}.weight"] = w.astype(np.float32)
    if bias:
      b = 0.1 * rng.normal(size=shape[0])
      found[f"{name}.bias"] = b.astype(np.float32)

  normal = lambda *s: 0.5 * rng.normal(size=s).astype(np.float32)
  found["cls_token"] = normal(1, 1, WIDTH)
  found["pos_embed"] = normal(1, N + 1, WIDTH)
  add("patch_embed.proj", WIDTH, 3, PATCH, PATCH)
  for i in range(DEPTH):
    add(f"blocks.{i}.norm1", WIDTH)
    add(f"blocks.{i}.attn.qkv", 3 * WIDTH, WIDTH)
    add(f"blocks.{i}.attn.proj", WIDTH, WIDTH)
    add(f"blocks.{i}.norm2", WIDTH)
    add(f"blocks.{i}.mlp.fc1", RATIO * WIDTH, WIDTH)
    add(f"blocks.{i}.mlp.fc2", WIDTH, RATIO * WIDTH)
    step = N + 1 if i in untouched else granularity
    c = np.arange(N, 0, -step).astype(np.float32)
    for kind, middle in (("prune", 14 - 4 * i), ("merge", 12 - 4 * i)):
      name = f"blocks.{i}.{kind}_ddp"
      found[f"{name}.kept_token_candidate"] = c
      theta = -0.1 * (c - middle) ** 2 if len(c) > 1 else np.zeros(1)
      found[f"{name}.selected_probability"] = theta.astype(np.float32)
  add(final, WIDTH)
  add("head", CLASSES, WIDTH)
  return found


@pytest.fixture(scope="module", params=MODES, ids=list(MODES))
def case(request):
  final, granularity, untouched = MODES[request.param]
  case = golden_kit.Asked(
    {
      "variant": "mae" if final == "fc_norm" else "deit",
      "img_size": SIDE,
      "patch_size": PATCH,
      "embed_dim": WIDTH,
      "depth": DEPTH,
      "num_heads": HEADS,
      "mlp_ratio": RATIO,
      "qkv_bias": True,
      "num_classes": CLASSES,
      "granularity": granularity,
      "layernorm_eps": 1e-6,
      "uncompressed_blocks": untouched,
      "label_smoothing": 0.0,
      "flops_unit_in_golden_loss": 1e4,
      "target_flops": 1.5,
      "flops_loss_weight": 2,
    },
    {
      "image": golden_kit.normal(2, 3, SIDE, SIDE, seed=5),
      "label": np.int32([3, 0]),
    },
    parameters(final, granularity, untouched),
  )
  return types.SimpleNamespace(
    case=case,
    final=final,
    untouched=untouched,
    found=golden_kit.adapter("diffrate").run(case),
  )


def linear(p, name, x):
  return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, x):
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  return x * p[f"{name}.weight"] + p[f"{name}.bias"]


def attention(p, name, x, size):
  q, k, v = (
    y.reshape(len(x), HEADS, -1).swapaxes(0, 1)
    for y in np.split(linear(p, f"{name}.qkv", x), 3, -1)
  )
  a = q @ k.swapaxes(1, 2) / np.sqrt(WIDTH // HEADS) + np.log(size)
  a = scipy.special.softmax(a, -1)
  y = (a @ v).swapaxes(0, 1).reshape(len(x), WIDTH)
  return linear(p, f"{name}.proj", y), a[:, 0, 1:].mean(0)


def merged(x, size, keep, clamp):
  u = x / np.linalg.norm(x, axis=-1, keepdims=True)
  cosine = u[keep:] @ u[1:keep].T
  into, most = 1 + cosine.argmax(1), cosine.max(1)
  size = np.concatenate([size[:keep], size[keep:] * most])
  size = np.maximum(size, 1) if clamp else size
  new, grown = x[:keep].copy(), size[:keep].copy()
  for j in range(keep):
    new[j] = np.concatenate([x[j : j + 1], x[keep:][into == j]]).mean(0)
    grown[j] += size[keep:][into == j].sum()
  return new, grown


def counts(p):
  def one(i, kind):
    name = f"blocks.{i}.{kind}_ddp"
    pi = scipy.special.softmax(p[f"{name}.selected_probability"])
    return int(np.ceil(pi @ p[f"{name}.kept_token_candidate"])) + 1

  return [[one(i, kind) for i in range(DEPTH)] for kind in ("prune", "merge")]


def logits(p, image, final, clamp):
  """Tokens are taken away; the training masks them and clamps sizes."""
  side = SIDE // PATCH
  x = image.reshape(3, side, PATCH, side, PATCH).transpose(1, 3, 0, 2, 4)
  w = p["patch_embed.proj.weight"].reshape(WIDTH, -1)
  x = x.reshape(N, -1) @ w.T + p["patch_embed.proj.bias"]
  x = np.concatenate([p["cls_token"][0], x]) + p["pos_embed"][0]
  size = np.ones(N + 1)
  for i, (prune, merge) in enumerate(zip(*counts(p), strict=True)):
    block = f"blocks.{i}"
    y, importance = attention(
      p, f"{block}.attn", norm(p, f"{block}.norm1", x), size
    )
    ids = np.concatenate([[0], 1 + np.argsort(-importance)])[:prune]
    x, size = (x + y)[ids], size[ids]
    if merge < len(x):
      x, size = merged(x, size, merge, clamp)
    y = linear(p, f"{block}.mlp.fc1", norm(p, f"{block}.norm2", x))
    y = y * (1 + scipy.special.erf(y / np.sqrt(2))) / 2
    x = x + linear(p, f"{block}.mlp.fc2", y)
  if final == "norm":
    return linear(p, "head", norm(p, "norm", x)[0])
  mean = (x[1:] * size[1:, None]).sum(0) / size[1:].sum()
  return linear(p, "head", norm(p, "fc_norm", mean))


def test_counts_and_their_flops(case):
  """The authors count an MLP of ratio 4 whatever it is."""
  kept = counts({k: np.float64(v) for k, v in case.case.params.items()})
  np.testing.assert_array_equal(case.found["kept_prune"], kept[0])
  np.testing.assert_array_equal(case.found["kept_merge"], kept[1])
  tokens, cost = N + 1, (N + 1) * WIDTH * PATCH**2 * 3 + WIDTH * CLASSES
  for least in map(min, *kept):
    cost += 4 * tokens * WIDTH**2 + 2 * tokens**2 * WIDTH
    tokens = min(tokens, least)
    cost += 8 * tokens * WIDTH**2
  assert tokens < N  # something is lost
  assert case.found["flops"] == case.found["eval_flops"] == cost


@pytest.mark.parametrize("name, clamp", [("logits", 1), ("eval_logits", 0)])
def test_logits(case, name, clamp):
  p = {k: np.float64(v) for k, v in case.case.params.items()}
  images = np.float64(case.case.inputs["image"])
  want = [logits(p, x, case.final, clamp) for x in images]
  np.testing.assert_allclose(case.found[name], want, atol=2e-4)


def test_loss_and_which_gradients_there_are(case):
  """Without smoothing; the last block matters to the mean of patches only."""
  logs = scipy.special.log_softmax(np.float64(case.found["logits"]), -1)
  want = -logs[np.arange(2), case.case.inputs["label"]].mean()
  np.testing.assert_allclose(case.found["loss_ce"], want, rtol=1e-5)
  for i in range(DEPTH):
    there = i not in case.untouched
    assert (f"grad_prune{i}" in case.found) == there
    if there:
      assert np.abs(case.found[f"grad_prune{i}"]).max() > 0
      moves = np.abs(case.found[f"gradce_prune{i}"]).max() > 0
      assert moves == (case.final == "fc_norm" or i < DEPTH - 1)
