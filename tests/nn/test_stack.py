import collections
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import block
from jmim.nn import stack

B, T, W, DEPTH = 2, 3, 4, 3


class Layer(nn.Module):
  """x + drop * tanh(linear(x) + bias): cheap to compile."""

  @nn.compact
  def __call__(self, x, *, drop=1.0, bias=0.0):
    y = jnp.tanh(nn.Dense(W, name="dense")(x) + bias)
    return x + drop * y, {"tanh": y}


_RUNTIMES = {
  "unrolled": runtime.Runtime(),
  "scan": runtime.Runtime(scan=True),
  "scan_by_2": runtime.Runtime(scan=True, unroll=2),
  "dots": runtime.Runtime(remat="dots"),
  "full": runtime.Runtime(remat="full"),
  "scan_dots": runtime.Runtime(scan=True, remat="dots"),
  "scan_full": runtime.Runtime(scan=True, remat="full"),
}


def _make():
  return Layer(parent=None)


def _loop(layers, x, drop, bias, stop=DEPTH):
  """Single layers, one after the other, on sliced parameters."""
  taps = []
  for i in range(stop):
    params = jax.tree.map(lambda a, i=i: a[i], layers)
    x, found = Layer().apply({"params": params}, x, drop=drop[i], bias=bias)
    taps.append(found["tanh"])
  return x, {"tanh": jnp.stack(taps)} if taps else {}


def _stacked(layers, x, drop, bias, stop=None, rt=None):
  module = stack.Stack(_make, DEPTH, rt or runtime.Runtime())
  return module.apply(
    {"params": {"layers": layers}},
    x,
    per_layer={"drop": drop},
    stop=stop,
    bias=bias,
  )


def _loss(run, **options):
  def loss(layers, x, drop, bias):
    y, taps = run(layers, x, drop, bias, **options)
    return (y**2).sum() + (taps["tanh"] ** 3).sum(), (y, taps)

  return jax.value_and_grad(loss, argnums=(0, 1, 2, 3), has_aux=True)


def _assert_close(found, wanted, **tolerance):
  assert jax.tree.structure(found) == jax.tree.structure(wanted)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, **tolerance), found, wanted
  )


@pytest.fixture(scope="module")
def case(fill, normal):
  """Stacked parameters, x, per-layer factors, and a bias for all layers."""
  x = normal(B, T, W)
  layers = fill(stack.Stack(_make, DEPTH), x, scale=0.5)["params"]["layers"]
  return layers, x, normal(DEPTH, B, 1, 1, seed=1), normal(W, seed=2)


@pytest.fixture(scope="module")
def wanted(case):
  return jax.jit(_loss(_loop))(*case)


@pytest.mark.parametrize("name", _RUNTIMES)
def test_equals_a_loop_over_single_layers(case, wanted, name):
  found = jax.jit(_loss(_stacked, rt=_RUNTIMES[name]))(*case)
  _assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_blocks_scanned_and_unrolled_equal_single_blocks(fill, normal):
  make = lambda: block.Block(heads=2, parent=None)
  x, drop = normal(B, T, 8), np.array([[[1, 0]] * 2, [[2, 1]] * 2], np.float32)
  variables = fill(stack.Stack(make, 2), x)

  def loop(variables):
    y = x
    for i in range(2):
      p = jax.tree.map(lambda a, i=i: a[i], variables["params"]["layers"])
      y, _ = make().apply({"params": p}, y, drop=drop[i])
    return y

  def stacked(rt):
    module = stack.Stack(make, 2, rt)
    return lambda v: module.apply(v, x, per_layer={"drop": drop})[0]

  def run(function):
    loss = lambda v: (function(v) ** 3).sum()
    return jax.jit(jax.value_and_grad(loss))(variables)

  reference = run(loop)
  for name in ("unrolled", "scan_full"):
    _assert_close(
      run(stacked(_RUNTIMES[name])), reference, rtol=1e-4, atol=1e-4
    )


def test_scan_and_unroll_are_what_is_run(case):
  def text(rt):
    return str(jax.make_jaxpr(lambda *a: _stacked(*a, rt=rt))(*case))

  assert "scan[" not in text(_RUNTIMES["unrolled"])
  assert "unroll=1" in text(_RUNTIMES["scan"])
  assert "unroll=2" in text(_RUNTIMES["scan_by_2"])


def _primitives(jaxpr):
  """How often each primitive occurs, inner programs included."""
  counts = collections.Counter(e.primitive.name for e in jaxpr.eqns)
  for value in jax.tree.leaves([list(e.params.values()) for e in jaxpr.eqns]):
    inner = getattr(value, "jaxpr", value)
    if hasattr(inner, "eqns"):
      counts += _primitives(inner)
  return counts


def test_remat_recomputes_what_it_says(case):
  def count(name):
    jaxpr = jax.make_jaxpr(_loss(_stacked, rt=_RUNTIMES[name]))(*case)
    found = _primitives(jaxpr.jaxpr)
    return found["tanh"], found["dot_general"]

  tanh, dots = count("unrolled")
  assert count("dots") == (tanh + DEPTH, dots)
  assert count("full") == (tanh + DEPTH, dots + DEPTH)


@pytest.mark.parametrize("name", ["unrolled", "scan"])
@pytest.mark.parametrize("stop", [0, 1, 2])
def test_early_exit_runs_the_first_layers_only(case, name, stop):
  found = _stacked(*case, stop=stop, rt=_RUNTIMES[name])
  _assert_close(found, _loop(*case, stop=stop), rtol=1e-6, atol=1e-6)


def test_layers_after_the_exit_get_no_gradient(case):
  _, (gradient, *_) = jax.jit(_loss(_stacked, stop=2))(*case)
  for leaf in jax.tree.leaves(gradient):
    assert np.abs(leaf[:2]).min(axis=tuple(range(1, leaf.ndim))).all()
    assert not np.any(leaf[2])


@pytest.mark.parametrize("stop", [-1, DEPTH + 1])
def test_exit_outside_the_stack_is_refused(case, stop):
  with pytest.raises(ValueError, match=rf"early exit {stop} outside 0..3"):
    _stacked(*case, stop=stop)


@pytest.mark.parametrize("scan", [False, True])
def test_no_layers_are_the_identity(normal, scan):
  module = stack.Stack(_make, 0, runtime.Runtime(scan=scan))
  x = normal(B, T, W)
  (y, taps), _ = jax.jit(module.init_with_output)(jax.random.key(0), x)
  np.testing.assert_array_equal(y, x)
  assert taps == {}


def test_layers_start_alike_in_law_but_not_in_value(normal):
  initialise = lambda rt: jax.jit(stack.Stack(_make, DEPTH, rt).init)
  x, key = normal(B, T, W), jax.random.key(0)
  params = initialise(runtime.Runtime())(key, x)
  kernel = np.asarray(params["params"]["layers"]["dense"]["kernel"])
  assert kernel.shape == (DEPTH, W, W)
  for i in range(DEPTH):
    # Lecun normal of fan-in 4, not of the 12 rows of the whole stack.
    assert 0.25 < kernel[i].std() < 0.85
    for j in range(i):
      assert np.abs(kernel[i] - kernel[j]).max() > 0.1
  # Scanning is a choice of execution: the same parameters, bit for bit.
  scanned = initialise(runtime.Runtime(scan=True))(key, x)
  _assert_close(scanned, params, rtol=0)


@pytest.mark.parametrize("stop", [None, 0, 2])
def test_layers_unrolled_before_a_loop_are_the_same(case, stop):
  layers, *rest = case
  tree = {"main": {"blocks": {"layers": layers}, "head": layers}}
  spread = stack.unrolled(_RUNTIMES["unrolled"], tree)["main"]
  _assert_close(spread["head"], layers, rtol=0)
  each = spread["blocks"]["layers"]
  assert isinstance(each, tuple) and len(each) == DEPTH
  found = jax.jit(functools.partial(_stacked, stop=stop))(each, *rest)
  wanted = jax.jit(functools.partial(_stacked, stop=stop))(layers, *rest)
  _assert_close(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("scan", [False, True])
def test_parameters_are_spread_where_nothing_scans(scan):
  tree = {"a": {"layers": {"w": jnp.arange(6.0).reshape(3, 2)}}, "b": 1}
  got = stack.unrolled(runtime.Runtime(scan=scan), tree)
  if scan:
    assert got is tree
    return
  assert got["b"] == 1 and len(got["a"]["layers"]) == 3
  assert stack.unrolled(runtime.Runtime(), got)["a"] == got["a"]  # once
  for i, layer in enumerate(got["a"]["layers"]):
    np.testing.assert_array_equal(layer["w"], [2 * i, 2 * i + 1])


def test_unstack_slices_with_the_gradient_of_slicing(normal):
  tree = {"a": normal(3, 2), "b": {"c": normal(3, 4, 5, seed=1)}}
  weights = [1.0, 10.0, 100.0]

  def total(parts):
    return sum(
      w * (leaf**2).sum()
      for w, part in zip(weights, parts, strict=True)
      for leaf in jax.tree.leaves(part)
    )

  def slices(t):
    return [jax.tree.map(lambda a, i=i: a[i], t) for i in range(3)]

  _assert_close(stack.unstack(tree, 3), slices(tree), rtol=0)
  found, wanted = (
    jax.jit(jax.grad(lambda t, cut=cut: total(cut(t))))(tree)
    for cut in (lambda t: stack.unstack(t, 3), slices)
  )
  _assert_close(found, wanted, rtol=1e-6)


def _named(**rt):
  how = runtime.Runtime(remat="names", **rt)
  layer = lambda: block.Block(heads=2, rt=how, parent=None)
  return stack.Stack(layer, DEPTH, how)


@pytest.fixture(scope="module")
def blocks(normal):
  x = normal(B, T, 8)
  variables = jax.jit(_named().init)(jax.random.key(0), x)
  return variables, x


def _gradient(module, variables, x):
  loss = lambda v: (module.apply(v, x)[0] ** 2).sum()
  return jax.grad(loss)(variables)


def _products(jaxpr):
  """Shapes of the outputs of all products, inner programs included."""
  shapes = []
  for eqn in jaxpr.eqns:
    if eqn.primitive.name == "dot_general":
      shapes.append(eqn.outvars[0].aval.shape)
    for value in jax.tree.leaves(list(eqn.params.values())):
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        shapes += _products(inner)
  return shapes


@pytest.mark.parametrize(
  "name, shape", [("qkv", (B, T, 24)), ("hidden", (B, T, 32))]
)
@pytest.mark.parametrize("where", ["remat_save", "remat_offload"])
def test_a_named_product_is_not_computed_again(blocks, name, shape, where):
  def count(**rt):
    jaxpr = jax.make_jaxpr(lambda v, x: _gradient(_named(**rt), v, x))(*blocks)
    return _products(jaxpr.jaxpr).count(shape)

  assert count() - count(**{where: (name,)}) == DEPTH


@pytest.mark.parametrize("scan", [False, True])
def test_keeping_names_changes_no_gradient(blocks, scan):
  plain = _named()
  plain = plain.clone(rt=runtime.Runtime())
  wanted = jax.jit(lambda v, x: _gradient(plain, v, x))(*blocks)
  kept = _named(remat_save=("qkv", "middle"), scan=scan)
  found = jax.jit(lambda v, x: _gradient(kept, v, x))(*blocks)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4),
    found,
    wanted,
  )


def test_blocks_have_all_the_names(blocks):
  jaxpr = str(jax.make_jaxpr(lambda v, x: _named().apply(v, x)[0])(*blocks))
  for name in stack.NAMES:
    assert f"name={name}" in jaxpr


def test_offloaded_tensors_go_to_the_host(blocks):
  module = _named(remat_offload=("hidden",))
  jaxpr = str(jax.make_jaxpr(lambda v, x: _gradient(module, v, x))(*blocks))
  assert "Host" in jaxpr or "pinned_host" in jaxpr


@pytest.mark.parametrize("name", ["unrolled", "scan", "scan_full", "full"])
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_segments_one_after_the_other_are_the_stack(case, wanted, name, cut):
  """Values, taps and gradients, those of what a layer has of its own too."""

  def run(layers, x, drop, bias):
    module = stack.Stack(_make, DEPTH, _RUNTIMES[name])
    taps = []
    for start, stop in ((0, cut), (cut, None)):
      x, found = module.apply(
        {"params": {"layers": layers}},
        x,
        per_layer={"drop": drop},
        start=start,
        stop=stop,
        bias=bias,
      )
      taps += [found["tanh"]] if found else []
    return x, {"tanh": jnp.concatenate(taps)}

  found = jax.jit(_loss(run))(*case)
  _assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["unrolled", "scan"])
def test_tokens_may_become_fewer_between_segments(case, name):
  layers, x, drop, bias = case

  class Thin(nn.Module):
    @nn.compact
    def __call__(self, x):
      blocks = stack.Stack(_make, DEPTH, _RUNTIMES[name], name="blocks")
      run = functools.partial(blocks, per_layer={"drop": drop}, bias=bias)
      x, _ = run(x, stop=1)
      return run(x[:, :2], start=1)

  y, taps = Thin().apply({"params": {"blocks": {"layers": layers}}}, x)
  wanted, found = _loop(*case)
  assert taps["tanh"].shape == (DEPTH - 1, B, 2, W)
  np.testing.assert_allclose(y, wanted[:, :2], rtol=1e-5)  # tokens are apart
  np.testing.assert_allclose(taps["tanh"], found["tanh"][1:, :, :2], rtol=1e-5)
  both = jax.jit(Thin().init)(jax.random.key(0), x)["params"]["blocks"][
    "layers"
  ]
  assert both["dense"]["kernel"].shape == (DEPTH, W, W)


@pytest.mark.parametrize("start", [-1, 3])
def test_first_layer_after_the_exit_is_refused(case, start):
  layers, x, *_ = case
  module = stack.Stack(_make, DEPTH)
  with pytest.raises(ValueError, match=rf"first layer {start} outside 0..2"):
    module.apply({"params": {"layers": layers}}, x, start=start, stop=2)


def test_running_all_layers_is_the_program_it_was(case):
  def program(**options):
    layers, x, *_ = case
    module = stack.Stack(_make, DEPTH)
    run = lambda p: module.apply({"params": {"layers": p}}, x, **options)
    return str(jax.make_jaxpr(run)(layers))

  assert program() == program(start=0, stop=DEPTH)
  assert program(start=1).count("tanh") == DEPTH - 1


@pytest.mark.parametrize("name", ["unrolled", "scan", "scan_dots"])
def test_layers_may_have_functions_of_their_own(fill, normal, name):
  """Hooks of attention that depend on the layer."""
  make = lambda: block.Block(heads=2, parent=None)
  x, levels = normal(B, T, 8), jnp.array([0.0, 1.0, 4.0])
  module = stack.Stack(make, DEPTH, _RUNTIMES[name])
  variables = fill(module, x)
  scale = lambda level, logits: logits * level
  add = lambda level, normed: level * jnp.eye(T)

  def hooks(levels):
    return {
      "edit": jax.tree_util.Partial(scale, levels),
      "bias_of": jax.tree_util.Partial(add, levels),
    }

  def loss(variables):
    y, taps = module.apply(variables, x, **hooks(levels), taps=("attention",))
    return (y**3).sum(), taps["attention"]

  def loop(variables):
    y, taps = x, []
    for i in range(DEPTH):
      p = jax.tree.map(lambda a, i=i: a[i], variables["params"]["layers"])
      y, found = make().apply(
        {"params": p}, y, **hooks(levels[i]), taps=("attention",)
      )
      taps.append(found["attention"])
    return (y**3).sum(), jnp.stack(taps)

  run = lambda f: jax.jit(jax.value_and_grad(f, has_aux=True))(variables)
  found, wanted = run(loss), run(loop)
  np.testing.assert_allclose(found[0][1][0], 1 / T, rtol=1e-6)
  _assert_close(found, wanted, rtol=2e-4, atol=2e-4)
