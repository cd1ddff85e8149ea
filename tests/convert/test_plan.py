"""A file matched with a method: what is read, left fresh, or refused."""

import dataclasses

import jax
import jax.numpy as jnp
import kit
import numpy as np
import pytest

from jmim.convert import plan
from jmim.core import errors
from jmim.parallel import sharding


@pytest.fixture(scope="module")
def mae():
  return kit.export("mae", kit.tiny("mim.mae"))


@pytest.mark.parametrize("container", ["model.", "module."])
def test_a_container_is_opened_and_the_rest_is_listed(mae, container):
  file = {container + n: x for n, x in mae.theirs.items()}
  if container == "model.":
    file["optimizer.state.0.exp_avg"] = np.zeros(3)
  made, leaves = kit.load(mae, file)
  assert leaves.keys() == mae.ours.keys()
  assert made.ignored == [n for n in file if n.startswith("optimizer")]
  assert made.lines() == [f"ignored: {n}" for n in made.ignored]


def transposed(arrays):
  arrays["blocks.1.mlp.fc1.weight"] = arrays["blocks.1.mlp.fc1.weight"].T


def renamed(arrays):
  arrays["blocks.0.attn.qkv.wait"] = arrays.pop("blocks.0.attn.qkv.weight")


@pytest.mark.parametrize(
  "change, seen",
  [
    (transposed, [r"shape of blocks\.1\.mlp\.fc1\.weight: .*transposed"]),
    (
      renamed,
      [
        r"missing: blocks\.0\.attn\.qkv\.weight",
        r"unknown: blocks\.0\.attn\.qkv\.wait",
      ],
    ),
    (lambda w: w.update(extra=np.zeros(1)), ["unknown: extra"]),
    (lambda w: w.pop("blocks.1.norm1.bias"), [r"missing: blocks\.1\.norm1"]),
    (lambda w: w.update({"blocks.2.norm1.bias": 0.0}), [r"unknown: blocks\.2"]),
  ],
)
def test_all_differences_are_in_one_error(mae, change, seen):
  file = {n: np.asarray(x) for n, x in mae.theirs.items()}
  change(file)
  file = {n: np.asarray(x) for n, x in file.items()}
  with pytest.raises(errors.UserError) as e:
    kit.load(mae, file)
  for pattern in seen:
    assert e.match(pattern)


def test_nothing_is_read_before_names_and_shapes_agree(mae):
  def refuse():
    raise AssertionError("read")

  file = kit.weights(mae.theirs)
  for name, entry in file.entries.items():
    file.entries[name] = dataclasses.replace(entry, read=refuse)
  like = mae.like | {"params/main/stray": jax.ShapeDtypeStruct((2,), "f4")}
  with pytest.raises(errors.UserError, match="stray"):
    plan.make(mae.family, mae.method, weights=file, like=like)
  made = plan.make(mae.family, mae.method, weights=file, like=mae.like)
  with pytest.raises(AssertionError, match="read"):
    next(made.leaves())


def test_another_family_is_an_error_with_its_names(mae):
  hf = kit.export("hf_vit_mae", mae.method)
  with pytest.raises(errors.UserError, match="unknown: vit.embeddings") as e:
    kit.load(mae, hf.theirs)
  assert "missing: patch_embed.proj.weight" in str(e.value)


def test_arrays_can_be_left_out_by_name(mae):
  more = {"extra.a": np.zeros(1), "extra.b": np.zeros(1)}
  made, _ = kit.load(mae, mae.theirs | more, ignore=[r"^extra\."])
  assert made.ignored == sorted(more)
  with pytest.raises(errors.UserError, match="unknown: extra.b"):
    kit.load(mae, mae.theirs | more, ignore=["a$"])
  # What the method needs is not left out.
  made, leaves = kit.load(mae, ignore=["norm"])
  assert leaves.keys() == mae.ours.keys() and not made.ignored


def test_halves_become_float32(mae):
  half = {n: x.astype(jnp.bfloat16) for n, x in mae.theirs.items()}
  half |= {n: x for n, x in mae.theirs.items() if "pos_embed" in n}
  _, leaves = kit.load(mae, half)
  assert {x.dtype for x in leaves.values()} == {np.dtype("f4")}
  name = "params/main/encoder/norm/bias"
  want = mae.ours[name].astype(jnp.bfloat16).astype(np.float32)
  np.testing.assert_array_equal(leaves[name], want)


def test_learned_positions_are_resized_only_when_asked():
  written = kit.export("hf_vit", kit.tiny("vit"))
  method = kit.tiny("vit", size=24)
  larger = written._replace(method=method, like=kit.shapes(method))
  with pytest.raises(errors.UserError, match="shape of vit.embeddings.pos"):
    kit.load(larger)
  made, leaves = kit.load(larger, resize_positions=True)
  name = "params/main/encoder/pos_embed"
  assert made.resized == [name]
  assert leaves[name].shape == (1, 1 + 36, 32)
  # The class token has no place: it keeps its position.
  np.testing.assert_array_equal(leaves[name][:, 0], written.ours[name][:, 0])


def test_fixed_positions_of_another_grid_are_computed(mae):
  method = kit.tiny("mim.mae", size=24)
  larger = mae._replace(method=method, like=kit.shapes(method))
  with pytest.raises(errors.UserError, match="shape of pos_embed"):
    kit.load(larger)
  made, leaves = kit.load(larger, resize_positions=True)
  assert set(made.ignored) == {"pos_embed", "decoder_pos_embed"}
  assert leaves.keys() == mae.ours.keys() and not made.resized


def test_a_stack_without_layers_is_made_empty():
  method = kit.tiny("mim.mae", decoder_depth=0)
  _, leaves = kit.load(kit.export("mae", method))
  name = "params/main/decoder/blocks/layers/norm1/bias"
  assert leaves[name].shape == (0, 16)


def test_leaves_live_where_they_are_told_to(mae):
  made, leaves = kit.load(mae)
  mesh = sharding.make_mesh({"data": 2, "fsdp": 4})
  everywhere = jax.NamedSharding(mesh, jax.P())
  name = "params/main/encoder/blocks/layers/mlp/fc1/kernel"
  where = dict.fromkeys(made.like, everywhere)
  where[name] = jax.NamedSharding(mesh, jax.P(None, None, "fsdp"))
  for most in (0, plan.LAYERED):  # layer by layer, and whole
    placed = plan.place(made.pieces(most), made.like, where)
    assert placed[name].sharding == where[name]
    for leaf, array in leaves.items():
      np.testing.assert_array_equal(placed[leaf], array, leaf)
