"""``toylin train`` on images and on classes: one JSON object, saved runs, clear refusals."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from helpers import run_command
from PIL import Image

import toylin as tl
from toylin.limits import _evaluate


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Omniglot's layout with four characters, each of them a line of its own."""
    folder = tmp_path_factory.mktemp("omniglot")
    for name in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for c in range(4):
                for j in range(6):
                    drawing = np.full((4, 4), 255, np.uint8)
                    drawing[c, j % 3 : j % 3 + 2] = 0
                    file = io.BytesIO()
                    Image.fromarray(drawing).save(file, "png")
                    archive.writestr(f"{name}/Ai/character0{c}/{j}.png", file.getvalue())
    return folder


SMALL = "--size 4 --ways 2 --shots 2 --num-queries 3 --num-tasks 4 --test-tasks 20"


def test_images_train_and_are_tested_on_other_classes(root, tmp_path, monkeypatch, capsys):
    out = tmp_path / "runs" / "om.npz"
    flags = ["--tasks", "omniglot", "--root", str(root), *SMALL.split(), "--widths", "16,6,2"]
    flags += ["--step-size", "0.5", "--num-steps", "40", "--learning-rate", "0.02", "--json"]
    code, text, error = run_command(monkeypatch, capsys, "train", *flags, "--out", str(out))
    assert code == 0, error
    found = json.loads(text)  # one object, and nothing else
    assert found["test_accuracy"] > 0.9
    assert 0 <= found["test_accuracy_stderr"] < 0.05
    assert found["last_loss"] < found["first_loss"]
    assert "40/40" in error
    run = tl.load_run(out)
    assert [w.shape for w in run.params] == [(6, 16), (2, 6)]
    assert {w.dtype.name for w in run.params} == {"float32"}
    assert run.settings["ways"] == 2
    assert run.results["test_accuracy"] == found["test_accuracy"]
    # The number is that of the saved model on the other classes, by hand.
    unseen = tl.ImageTasks(tl.images.omniglot(root, "test", size=4).flat(), ways=2, shots=2)
    import jax

    again = tl.evaluate(run.params, unseen, run.rule, jax.random.key(5), 200, 3)
    assert abs(again.accuracy.mean - found["test_accuracy"]) < 0.1
    code, text, _ = run_command(monkeypatch, capsys, "runs", str(out.parent))
    assert code == 0
    assert f"{found['test_accuracy']:.4f} +- " in text


def test_ctrl_c_while_testing_keeps_what_is_trained(root, tmp_path, monkeypatch, capsys):
    """Testing shows how far it is; stopped there, the run is saved without what it did not get."""
    out, count = tmp_path / "om.npz", iter(range(100))

    def interrupt(*args):
        if next(count) == 2:
            raise KeyboardInterrupt
        return group(*args)

    group = _evaluate.sample_as
    monkeypatch.setattr(_evaluate, "sample_as", interrupt)
    monkeypatch.setattr(_evaluate, "_group", _evaluate._group.__wrapped__)
    flags = ["--tasks", "omniglot", "--root", str(root), *SMALL.split(), "--widths", "16,2"]
    flags += ["--test-tasks", "40", "--num-steps", "4", "--json", "--out", str(out)]
    code, text, error = run_command(monkeypatch, capsys, "train", *flags)
    assert code == 130
    assert json.loads(text)["last_loss"] == pytest.approx(tl.load_run(out).loss[-1])
    assert "test_accuracy" not in text
    assert tl.load_run(out).results == {}
    assert "32/40" in error
    assert "stopped after 4 meta-iterations, which are saved" in error


def test_several_classes_and_tests_on_toy_tasks(tmp_path, monkeypatch, capsys):
    flags = "--tasks classification --ways 3 --dim 2 --shots 4 --num-steps 5 --test-tasks 50"
    out = tmp_path / "run.npz"
    code, text, error = run_command(monkeypatch, capsys, "train", *flags.split(), "--out", str(out))
    assert code == 0, error
    assert "accuracy on unseen tasks 0." in text
    assert [w.shape for w in tl.load_run(out).params] == [(2, 2), (3, 2)]


@pytest.mark.parametrize(
    ("flags", "layers"),
    [
        ("--tasks omniglot --model convolutional --depth 1 --width 3 --rotations", 2),
        ("--tasks omniglot --model mlp --depth 3 --width 5 --rule meta-sgd", 3),
        ("--dim 2 --model mlp --depth 2 --width 4 --shots 5", 2),
    ],
)
def test_networks(flags, layers, root, tmp_path, monkeypatch, capsys):
    words = flags.split()
    if "omniglot" in words:
        words += ["--root", str(root), *SMALL.split()]
    out = tmp_path / "run.npz"
    # On toy tasks as many as levels need to be told.
    words += ["--num-steps", "3" if "omniglot" in words else "50", "--out", str(out)]
    code, text, error = run_command(monkeypatch, capsys, "train", *words)
    assert code == 0, error
    assert ("accuracy on unseen tasks" in text) == ("omniglot" in words)
    run = tl.load_run(out)
    assert len(run.params) == layers
    assert set(run.params[-1]) == {"weight", "bias"}
    code, text, _ = run_command(monkeypatch, capsys, "runs", str(tmp_path))
    assert code == 0
    # The floors of linear models are not theirs, and images have no levels.
    assert ("(shallow floor, deep floor: n/a)" in text) == ("omniglot" not in words)
    assert text.count("shallow") == text.count("n/a")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--tasks omniglot", "--root must be the folder that holds omniglot's images"),
        ("--tasks omniglot --root {empty}", "root must hold images_background.zip"),
        ("--tasks omniglot --root {empty}/no", "root must be a folder that exists"),
        ("--tasks mini-imagenet --root {empty}", "has none of 64 of 64 classes"),
        ("--tasks omniglot --root {root} --dim 3", "--dim is for --tasks regression or"),
        ("--tasks omniglot --root {root} --noise-std 1", "--noise-std is for --tasks regression"),
        ("--tasks omniglot --root {root} --shots population", "--shots must be a number"),
        (
            "--tasks omniglot --root {root} --size 4 --ways 2 --widths 9,2",
            "--widths must start with 16",
        ),
        ("--tasks omniglot --root {root} --size 4 --ways 9", "ways must be at most 4"),
        ("--tasks omniglot --root {root} --size 4 --ways 2 --shots 6", "shots must leave room"),
        ("--tasks classification --theta-mean 1", "--theta-mean is for --tasks regression"),
        ("--model convolutional", "--model convolutional is for images"),
        ("--model mlp --widths 1,2,1", "--widths is for --model linear"),
        ("--width 3 --widths 1,2,1", "--width is said by --widths too"),
        ("--rotations", "--rotations is for --tasks omniglot or"),
        ("--ways 3", "--ways is for --tasks classification or"),
        ("--root {root}", "--root is for --tasks omniglot or"),
        ("--depth 2 --widths 1,1", "--depth is said by --widths too"),
        ("--widths 1", "must be 2 to 33 positive integers"),
        ("--widths 1,x", "must be 2 to 33 positive integers"),
        ("--tasks classification --ways 3 --shots population", "--shots must be a number"),
        ("--tasks classification --shots population", "--shots must be a number"),
        ("--tasks binary-classification --ways 3", "--ways is for --tasks classification or"),
        ("--tasks classification --theta-cov 2", "--theta-cov is for --tasks regression"),
        (
            "--tasks omniglot --root {root} --x-cov 2",
            "--x-cov is for --tasks regression or binary-classification or classification, got",
        ),
        ("--theta-cov 0", "'--theta-cov': must be a positive number, got '0'"),
        ("--x-cov nan", "'--x-cov': must be a positive number, got 'nan'"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, message, root, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    words = flags.format(root=root, empty=tmp_path / "empty").split()
    out = tmp_path / "runs" / "run.npz"
    code, text, error = run_command(monkeypatch, capsys, "train", *words, "--out", str(out))
    assert code in (1, 2)
    assert message in error
    assert error.count("\n") == 1
    assert not text
    assert not out.exists()
