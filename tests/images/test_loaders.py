"""Published layouts and folders, made small here: what is read, kept, fetched and refused."""

from __future__ import annotations

import hashlib
import http.server
import io
import shutil
import threading
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import toylin as tl
from toylin.images import _cache, _omniglot, published_split
from toylin.images._decode import decode as _decode


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
    """Nothing of the user's own is read or written."""
    folder = tmp_path / "user-cache"
    monkeypatch.setattr(_cache, "_of_user", lambda: folder)
    return folder


def png(array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def picture(*numbers, side=4):
    return np.random.default_rng(numbers).integers(0, 256, (side, side, 3), dtype=np.uint8)


def make_folder(root, classes=("cat", "dog", "eel"), images=4, side=4):
    for i, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for j in range(images):
            (root / name / f"{j}.png").write_bytes(png(picture(i, j, side=side)))
    return root


def test_a_zip_is_read_by_its_name_or_by_that_of_the_folder_that_holds_it(tmp_path):
    root = make_folder(tmp_path / "pets")
    (tmp_path / "kept").mkdir()
    archive = shutil.make_archive(str(tmp_path / "kept" / "pets"), "zip", root)
    wanted = tl.images.image_folder(root)
    (tmp_path / "kept" / "._pets.zip").write_bytes(b"what macOS leaves beside a file")
    for path in (archive, tmp_path / "kept"):
        found = tl.images.image_folder(path)
        assert found.names == wanted.names
        np.testing.assert_array_equal(found.images, wanted.images)
    shutil.copy(archive, tmp_path / "kept" / "other.zip")  # which of them is not known
    with pytest.raises(ValueError, match="root must hold two folders of images at least"):
        tl.images.image_folder(tmp_path / "kept")


def test_a_folder_is_read_image_for_image(tmp_path):
    root = make_folder(tmp_path / "pets")
    (root / "dog" / "3.png").unlink()
    (root / "dog" / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    found = tl.images.image_folder(root)
    assert found.names == ("cat", "dog", "eel")
    assert found.images.shape == (3, 4, 4, 4, 3)
    assert found.counts.tolist() == [4, 3, 4]
    for i in range(3):
        for j in range(4 - (i == 1)):
            np.testing.assert_array_equal(found.images[i, j], picture(i, j))
    grey = tl.images.image_folder(root, size=2, colour="grey")
    assert grey.images.shape == (3, 4, 2, 2, 1)


def test_omniglot_as_published(tmp_path):
    """Zips and the folders they unpack to give the same ink, 255 where the drawing is black."""
    names = [f"{a}/character0{c}/{n:02}.png" for a in ("Ai", "Bo") for c in (1, 2) for n in (1, 2)]
    drawing = np.full((105, 105), True)
    drawing[30:60, 30:60] = False
    buffer = io.BytesIO()
    Image.fromarray(drawing).convert("1").save(buffer, "png")
    for folder in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(tmp_path / f"{folder}.zip", "w") as archive:
            for name in names[: 8 if folder == "images_background" else 4]:
                archive.writestr(f"{folder}/{name}", buffer.getvalue())
    train, test = (tl.images.omniglot(tmp_path, split) for split in ("train", "test"))
    assert train.names == tuple(f"{a}/character0{c}" for a in ("Ai", "Bo") for c in (1, 2))
    assert (train.images.shape, test.images.shape) == ((4, 2, 28, 28, 1), (2, 2, 28, 28, 1))
    assert train.images[0, 0, 12, 12, 0] == 255
    assert train.images[0, 0, 2, 2, 0] == 0
    with zipfile.ZipFile(tmp_path / "images_background.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    again = tl.images.omniglot(tmp_path / "unpacked", size=105)
    np.testing.assert_array_equal(again.images[0, 0, :, :, 0], 255 - 255 * drawing)


@pytest.mark.parametrize("load", [tl.images.mini_imagenet, tl.images.cifar_fs])
def test_collections_by_their_published_splits(tmp_path, load):
    name = load.__name__.replace("_", "-")
    splits = published_split(name)
    assert [len(splits[s]) for s in ("train", "val", "test")] == [64, 16, 20]
    assert len({c for classes in splits.values() for c in classes}) == 100
    root = tmp_path / "root"
    for c in splits["val"]:
        (root / "some" / "where" / c).mkdir(parents=True)
        (root / "some" / "where" / c / "a.jpg").write_bytes(png(picture(len(c), side=9)))
    found = load(root, "val")
    assert found.names == splits["val"]
    assert found.shape == ((84, 84, 3) if name == "mini-imagenet" else (32, 32, 3))
    with pytest.raises(ValueError, match=f"has none of 20 of 20 classes .{splits['test'][0]}.*get"):
        load(root, "test")


def test_the_decoded_array_is_kept_and_checked(tmp_path, monkeypatch):
    root = make_folder(tmp_path / "pets")
    first = tl.images.image_folder(root)
    (kept,) = root.glob(".toylin-*.npz")
    decoded = []
    monkeypatch.setattr("toylin.images._load.decode", lambda *a: decoded.append(a) or _decode(*a))
    np.testing.assert_array_equal(tl.images.image_folder(root).images, first.images)
    assert not decoded
    # A flipped byte, an empty file and another's file are noticed, and made anew.
    good = kept.read_bytes()
    at = good.index(np.asarray(first.images).tobytes()) + 7
    flipped = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    for bad in (flipped, b"", b"PK\x03\x04", good[:-9]):
        kept.write_bytes(bad)
        np.testing.assert_array_equal(tl.images.image_folder(root).images, first.images)
        assert len(decoded) == 1
        assert kept.read_bytes() == good
        decoded.clear()
    # So is a change of the source.
    (root / "cat" / "0.png").write_bytes(png(picture(9, 9)))
    changed = tl.images.image_folder(root)
    np.testing.assert_array_equal(changed.images[0, 0], picture(9, 9))
    assert len(decoded) == 1


def test_a_source_that_cannot_be_written_is_kept_elsewhere(tmp_path, monkeypatch, user_cache):
    root = make_folder(tmp_path / "pets")
    real = _cache.replace

    def refuse(path, content):
        if path.parent == root:
            raise OSError("read-only")
        real(path, content)

    monkeypatch.setattr(_cache, "replace", refuse)
    first = tl.images.image_folder(root)
    assert not [*root.glob(".toylin*")]
    assert len([*user_cache.iterdir()]) == 1
    monkeypatch.setattr("toylin.images._load.decode", None)
    np.testing.assert_array_equal(tl.images.image_folder(root).images, first.images)


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    """A server on this machine in the place of Omniglot's publisher."""
    folder = tmp_path / "published"
    folder.mkdir()
    with zipfile.ZipFile(folder / "images_background.zip", "w") as archive:
        for c in (1, 2):
            archive.writestr(f"images_background/Ai/character0{c}/1.png", png(picture(c)))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(_omniglot, "ADDRESS", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()


def test_download(tmp_path, monkeypatch, publisher):
    content = (publisher / "images_background.zip").read_bytes()
    checksum = f"md5:{hashlib.md5(content).hexdigest()}"
    root = tmp_path / "data"
    with pytest.raises(ValueError, match="download could not fetch http://127"):
        tl.images.omniglot(root, download=True)  # this is not what the check sum is of
    assert not [*root.iterdir()]
    monkeypatch.setitem(_omniglot._FILES, "train", ("images_background", checksum))
    assert tl.images.omniglot(root, download=True).num_classes == 2
    shutil.rmtree(publisher)  # what is there is not fetched again
    assert tl.images.omniglot(root, download=True).num_classes == 2
    with pytest.raises(ValueError, match=r"could not fetch http.*evaluation\.zip: .*by hand"):
        tl.images.omniglot(root, "test", download=True)


def damage(root, name, content):
    (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: damage(r, "cat/1.png", b""), r"cat/1\.png in .* must be an image"),
        (lambda r: damage(r, "cat/1.png", b"text"), r"cat/1\.png in .* damaged, or no image"),
        (
            lambda r: damage(r, "cat/1.png", png(picture(1))[:60]),
            r"cat/1\.png in .* must be an image that can be read",
        ),
        (
            lambda r: damage(r, "dog/2.png", png(picture(1, side=7))),
            r"size must be given where images differ.* dog/2\.png \(7, 7\)",
        ),
        (lambda r: (r / "fox").mkdir() or r, "root must hold folders of images.* 'fox'"),
        (lambda r: r / "cat", "two folders of images at least"),
        (lambda r: r / "nowhere", "root must be a folder that exists"),
        (lambda r: damage(r, "pets.zip", b"no zip") / "pets.zip", "root must be a folder or a zip"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, spoil, message):
    root = spoil(make_folder(tmp_path / "pets"))
    with pytest.raises(ValueError, match=message):
        tl.images.image_folder(root)


def test_missing_omniglot_and_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match=r"images_background\.zip, or .*download=True"):
        tl.images.omniglot(tmp_path)
    with pytest.raises(ValueError, match="split must be one of train, test, got 'val'"):
        tl.images.omniglot(tmp_path, "val")
    with zipfile.ZipFile(tmp_path / "images_evaluation.zip", "w") as archive:
        archive.writestr("images_evaluation/readme.txt", "nothing")
    with pytest.raises(ValueError, match="but there are none in"):
        tl.images.omniglot(tmp_path, "test")
    root = make_folder(tmp_path / "pets")
    with pytest.raises(ValueError, match="size must be an integer of at least 1"):
        tl.images.image_folder(root, size=0)
    with pytest.raises(ValueError, match="colour must be one of grey, rgb"):
        tl.images.image_folder(root, colour="blue")


def test_images_train_and_are_drawn(tmp_path):
    """From a folder to a trained model, through the public interface."""
    import optax

    root = tmp_path / "squares"
    for i in range(4):
        (root / str(i)).mkdir(parents=True)
        for j in range(6):
            drawing = np.zeros((4, 4), np.uint8)
            drawing[i, j % 4] = drawing[i, (j + 1) % 4] = 200 + j
            (root / str(i) / f"{j}.png").write_bytes(png(drawing))
    tasks = tl.ImageTasks(tl.images.image_folder(root, colour="grey").flat(), ways=2, shots=2)
    start = tl.DeepLinear(depth=2, width=8).init(jax.random.key(0), tasks, jnp.float32)
    assert [w.shape for w in start] == [(8, 16), (2, 8)]
    loss = tl.SampledLoss(tasks, tl.MAML(0.5), num_tasks=8, num_queries=3)
    run = tl.meta_train(loss, start, optax.adam(0.01), 150, jax.random.key(1))
    assert np.isfinite(run.loss).all()
    found = tl.evaluate(run.params, tasks, tl.MAML(0.5), jax.random.key(2), 100, 3)
    assert found.accuracy.mean > 0.95


def test_a_sweep_on_images_is_meta_train(tmp_path):
    """Any model and step size, by the documented keys; durable, as any other."""
    import optax

    tasks = tl.ImageTasks(
        np.random.default_rng(0).integers(0, 256, (4, 6, 4, 4, 1), np.uint8), 2, 2
    )
    model, settings = tl.Convolutional(depth=1, width=2), {"num_tasks": 2, "num_queries": 3}
    ds = tl.sweep(
        tasks,
        tl.MAML(0.1),
        over={"step_size": [0.1, 0.4]},
        model=model,
        loss="sampled",
        num_steps=6,
        test_tasks=4,
        store=tmp_path / "store",
        **settings,
    )
    keys = jax.random.split(jax.random.key(0), 3)
    loss = tl.SampledLoss(tasks, tl.MAML(0.4), model=model, **settings)
    run = tl.meta_train(loss, model.init(keys[0], tasks), optax.adam(0.01), 6, keys[1])
    np.testing.assert_allclose(ds.loss.sel(step_size=0.4)[:-1], run.loss, rtol=1e-9)
