"""Every layer computes what torch's layer of the same name does from the same parameters, gradients included."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npgrad import Tensor, nn

Make = Callable[..., Any]
RNG = np.random.default_rng(0)
F64 = {"dtype": np.float64}

LAYERS: dict[str, tuple[Make, Make, tuple[int, ...]]] = {
    "linear": (lambda r: nn.Linear(4, 5, rng=r, **F64), lambda n: n.Linear(4, 5), (7, 4)),
    "linear without bias": (lambda r: nn.Linear(4, 5, False, rng=r, **F64), lambda n: n.Linear(4, 5, False), (2, 7, 4)),
    "batch norm": (lambda r: nn.BatchNorm1d(4, **F64), lambda n: n.BatchNorm1d(4), (6, 4)),
    "batch norm over time": (
        lambda r: nn.BatchNorm1d(4, eps=1e-3, momentum=0.3, **F64),
        lambda n: n.BatchNorm1d(4, 1e-3, 0.3),
        (3, 4, 5),
    ),
    "batch norm without scale": (
        lambda r: nn.BatchNorm1d(4, affine=False, **F64),
        lambda n: n.BatchNorm1d(4, affine=False),
        (6, 4),
    ),
    "batch norm of images": (lambda r: nn.BatchNorm2d(3, **F64), lambda n: n.BatchNorm2d(3), (2, 3, 4, 5)),
    "layer norm": (lambda r: nn.LayerNorm(5, **F64), lambda n: n.LayerNorm(5), (3, 4, 5)),
    "layer norm over two axes": (
        lambda r: nn.LayerNorm((4, 5), 1e-3, **F64),
        lambda n: n.LayerNorm((4, 5), 1e-3),
        (3, 4, 5),
    ),
    "layer norm without scale": (
        lambda r: nn.LayerNorm(5, elementwise_affine=False, **F64),
        lambda n: n.LayerNorm(5, elementwise_affine=False),
        (3, 5),
    ),
    "layer norm without shift": (
        lambda r: nn.LayerNorm(5, bias=False, **F64),
        lambda n: n.LayerNorm(5, bias=False),
        (3, 5),
    ),
    "rms norm": (lambda r: nn.RMSNorm(5, **F64), lambda n: n.RMSNorm(5), (3, 4, 5)),
    "rms norm over two axes": (
        lambda r: nn.RMSNorm((4, 5), 1e-2, elementwise_affine=False, **F64),
        lambda n: n.RMSNorm((4, 5), 1e-2, elementwise_affine=False),
        (3, 4, 5),
    ),
    "batch norm by the mean of batches": (
        lambda r: nn.BatchNorm1d(4, momentum=None, **F64),
        lambda n: n.BatchNorm1d(4, momentum=None),
        (3, 4, 5),
    ),
    "batch norm without running statistics": (
        lambda r: nn.BatchNorm2d(3, track_running_stats=False, **F64),
        lambda n: n.BatchNorm2d(3, track_running_stats=False),
        (2, 3, 4, 5),
    ),
    "instance norm": (lambda r: nn.InstanceNorm1d(4, **F64), lambda n: n.InstanceNorm1d(4), (3, 4, 5)),
    "instance norm of one image": (
        lambda r: nn.InstanceNorm2d(3, 1e-2, affine=True, **F64),
        lambda n: n.InstanceNorm2d(3, 1e-2, affine=True),
        (3, 4, 5),
    ),
    "group norm": (lambda r: nn.GroupNorm(2, 6, **F64), lambda n: n.GroupNorm(2, 6), (3, 6, 4)),
    "group norm without scale": (
        lambda r: nn.GroupNorm(3, 6, affine=False, **F64),
        lambda n: n.GroupNorm(3, 6, affine=False),
        (2, 6),
    ),
    "tanh": (lambda r: nn.Tanh(), lambda n: n.Tanh(), (3, 4)),
    "relu": (lambda r: nn.ReLU(), lambda n: n.ReLU(), (3, 4)),
    "leaky relu": (lambda r: nn.LeakyReLU(0.2), lambda n: n.LeakyReLU(0.2), (3, 4)),
    "elu": (lambda r: nn.ELU(0.7), lambda n: n.ELU(0.7), (3, 4)),
    "selu": (lambda r: nn.SELU(), lambda n: n.SELU(), (3, 4)),
    "celu": (lambda r: nn.CELU(0.7), lambda n: n.CELU(0.7), (3, 4)),
    "mish": (lambda r: nn.Mish(), lambda n: n.Mish(), (3, 4)),
    "softsign": (lambda r: nn.Softsign(), lambda n: n.Softsign(), (3, 4)),
    "sigmoid": (lambda r: nn.Sigmoid(), lambda n: n.Sigmoid(), (3, 4)),
    "gelu": (lambda r: nn.GELU(), lambda n: n.GELU(), (3, 4)),
    "gelu by tanh": (lambda r: nn.GELU("tanh"), lambda n: n.GELU("tanh"), (3, 4)),
    "silu": (lambda r: nn.SiLU(), lambda n: n.SiLU(), (3, 4)),
    "prelu": (lambda r: nn.PReLU(**F64), lambda n: n.PReLU(), (3, 4, 2)),
    "prelu by channel": (lambda r: nn.PReLU(4, 0.1, **F64), lambda n: n.PReLU(4, 0.1), (3, 4, 2)),
    "softplus": (lambda r: nn.Softplus(), lambda n: n.Softplus(threshold=1000), (3, 4)),
    "softplus, steeper": (lambda r: nn.Softplus(2.5), lambda n: n.Softplus(2.5, threshold=1000), (3, 4)),
    "log sigmoid": (lambda r: nn.LogSigmoid(), lambda n: n.LogSigmoid(), (3, 4)),
    "softmax": (lambda r: nn.Softmax(), lambda n: n.Softmax(-1), (3, 4)),
    "softmax of channels": (lambda r: nn.Softmax(dim=1), lambda n: n.Softmax(dim=1), (3, 4, 2)),
    "log softmax": (lambda r: nn.LogSoftmax(dim=0), lambda n: n.LogSoftmax(dim=0), (3, 4)),
    "identity": (lambda r: nn.Identity(5, p=0.5), lambda n: n.Identity(), (3, 4)),
    "flatten": (lambda r: nn.Flatten(), lambda n: n.Flatten(), (3, 4, 2)),
    "conv1d": (
        lambda r: nn.Conv1d(3, 4, 3, stride=2, padding=1, rng=r, **F64),
        lambda n: n.Conv1d(3, 4, 3, 2, 1),
        (2, 3, 8),
    ),
    "conv2d": (
        lambda r: nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False, rng=r, **F64),
        lambda n: n.Conv2d(3, 4, (3, 2), (2, 1), (1, 0), bias=False),
        (2, 3, 6, 5),
    ),
    "conv1d, depthwise, as long as its input": (
        lambda r: nn.Conv1d(4, 8, 3, padding="same", dilation=2, groups=4, rng=r, **F64),
        lambda n: n.Conv1d(4, 8, 3, padding="same", dilation=2, groups=4),
        (2, 4, 6),
    ),
    "conv2d of one image, in two groups": (
        lambda r: nn.Conv2d(4, 6, 2, 1, (2, 1), (1, 2), 2, False, rng=r, **F64),
        lambda n: n.Conv2d(4, 6, 2, 1, (2, 1), (1, 2), 2, False),
        (4, 6, 5),
    ),
    "conv transpose1d": (
        lambda r: nn.ConvTranspose1d(3, 4, 3, 2, 1, 1, rng=r, **F64),
        lambda n: n.ConvTranspose1d(3, 4, 3, 2, 1, 1),
        (2, 3, 5),
    ),
    "conv transpose2d in groups": (
        lambda r: nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, False, (2, 1), rng=r, **F64),
        lambda n: n.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, False, (2, 1)),
        (2, 4, 3, 4),
    ),
    "max pool": (lambda r: nn.MaxPool2d(2), lambda n: n.MaxPool2d(2), (2, 3, 6, 4)),
    "max pool with gaps and a rest": (
        lambda r: nn.MaxPool2d((2, 3), 2, (1, 0), (2, 1), ceil_mode=True),
        lambda n: n.MaxPool2d((2, 3), 2, (1, 0), (2, 1), ceil_mode=True),
        (2, 3, 6, 8),
    ),
    "max pool of a line": (lambda r: nn.MaxPool1d(3, 2, 1), lambda n: n.MaxPool1d(3, 2, 1), (2, 3, 7)),
    "avg pool": (lambda r: nn.AvgPool2d(3, 2, 1), lambda n: n.AvgPool2d(3, 2, 1), (2, 3, 7, 7)),
    "avg pool without padding": (
        lambda r: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        lambda n: n.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        (3, 6, 8),
    ),
    "avg pool of a line": (lambda r: nn.AvgPool1d(2), lambda n: n.AvgPool1d(2), (2, 3, 7)),
    "adaptive avg pool": (
        lambda r: nn.AdaptiveAvgPool2d((3, None)),
        lambda n: n.AdaptiveAvgPool2d((3, None)),
        (2, 3, 7, 4),
    ),
    "adaptive avg pool of a line": (lambda r: nn.AdaptiveAvgPool1d(4), lambda n: n.AdaptiveAvgPool1d(4), (3, 6)),
}


@pytest.mark.parametrize("name", list(LAYERS))
@pytest.mark.parametrize("training", [True, False])
def test_layer_is_torchs(torch: Any, name: str, training: bool) -> None:
    rng = np.random.default_rng(3)
    make, make_torch, shape = LAYERS[name]
    ours, theirs = make(rng).train(training), make_torch(torch.nn).double().train(training)
    state = {
        key: rng.uniform(0.5, 1.5, array.shape) if array.dtype.kind == "f" else array
        for key, array in ours.state_dict().items()
    }
    ours.load_state_dict(state)
    # torch's Linear keeps its weight transposed.
    flip = isinstance(ours, nn.Linear)
    for key, array in state.items():
        buffer = key in dict(theirs.named_buffers())
        target = theirs.get_buffer(key) if buffer else theirs.get_parameter(key)
        target.data.copy_(torch.tensor(array.T if flip else array))

    for _ in range(2):
        x = rng.normal(size=shape)
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(a), theirs(b)
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-10)
        dy = rng.normal(size=y.shape)
        y.backward(dy)
        z.backward(torch.tensor(dy))
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-8, atol=1e-8)
    for key, p in ours.named_parameters():
        g = theirs.get_parameter(key).grad.numpy()
        np.testing.assert_allclose(p.grad, g.T if flip else g, rtol=1e-8, atol=1e-8)
    for key, array in ours.named_buffers():
        np.testing.assert_allclose(array, theirs.get_buffer(key).numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", list(LAYERS))
def test_layers_are_float32_unless_told_otherwise(name: str) -> None:
    make, _, shape = LAYERS[name]
    layer = make(np.random.default_rng(0))
    for p in layer.parameters():
        assert p.dtype == np.float64
    state = layer.state_dict()
    for p in layer.parameters():
        p.__init__(p.numpy().astype(np.float32))
    for key in [key for key in state if "running" in key]:
        layer.register_buffer(key, state[key].astype(np.float32))
    x = Tensor(np.random.default_rng(1).normal(size=shape).astype(np.float32), requires_grad=True)
    y = layer(x)
    y.backward(np.ones(y.shape, np.float32))
    assert y.dtype == np.float32 and x.grad is not None and x.grad.dtype == np.float32


def test_default_dtype() -> None:
    layers = [
        nn.Linear(2, 3, rng=RNG), nn.Embedding(2, 3, rng=RNG), nn.BatchNorm1d(2), nn.BatchNorm2d(2), nn.LayerNorm(2),
        nn.GroupNorm(1, 2), nn.Conv1d(1, 1, 1, rng=RNG), nn.Conv2d(1, 1, 1, rng=RNG), nn.RMSNorm(2), nn.PReLU(),
        nn.InstanceNorm1d(2, affine=True), nn.ConvTranspose1d(1, 1, 1, rng=RNG), nn.ConvTranspose2d(1, 1, 1, rng=RNG),
    ]  # fmt: skip
    for layer in layers:
        assert {a.dtype for a in layer.state_dict().values()} == {np.dtype(np.float32)}


def test_embedding(torch: Any) -> None:
    rng = np.random.default_rng(0)
    ours = nn.Embedding(6, 3, rng=rng, dtype=np.float64)
    theirs = torch.nn.Embedding(6, 3).double()
    theirs.load_state_dict({"weight": torch.tensor(ours.weight.numpy().copy())})
    indices = rng.integers(0, 6, (4, 5))
    y, z = ours(indices), theirs(torch.tensor(indices))
    np.testing.assert_array_equal(y.numpy(), z.detach().numpy())
    dy = rng.normal(size=y.shape)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy())
    for wrong in (6, -1):
        with pytest.raises(IndexError):
            ours(np.array([wrong]))


def test_scale_of_initial_weights() -> None:
    rng = np.random.default_rng(0)
    gain = 5 / 3
    for weight, fan_in in [
        (nn.Linear(300, 400, rng=rng, gain=gain).weight, 300),
        (nn.Conv1d(30, 100, 5, rng=rng, gain=gain).weight, 150),
        (nn.Conv2d(30, 100, 3, rng=rng, gain=gain).weight, 270),
        (nn.Conv2d(60, 100, 3, groups=2, rng=rng, gain=gain).weight, 270),
        (nn.ConvTranspose1d(30, 100, 5, rng=rng, gain=gain).weight, 150),
        (nn.ConvTranspose2d(30, 100, 4, stride=2, rng=rng, gain=gain).weight, 120),
    ]:
        assert weight.numpy().std() == pytest.approx(gain / np.sqrt(fan_in), rel=0.03)
    assert nn.Embedding(300, 400, rng=rng).weight.numpy().std() == pytest.approx(1, rel=0.03)
    bias = nn.Linear(3, 4, rng=rng).bias
    assert bias is not None and not bias.numpy().any()


def test_the_same_generator_gives_the_same_network() -> None:
    a, b = (nn.Linear(3, 4, rng=np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(a.weight.numpy(), b.weight.numpy())


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: nn.Linear(2, 3, **k),
        lambda **k: nn.Embedding(2, 3, **k),
        lambda **k: nn.Conv1d(2, 3, 1, **k),
        lambda **k: nn.Conv2d(2, 3, 1, **k),
        lambda **k: nn.ConvTranspose1d(2, 3, 1, **k),
        lambda **k: nn.ConvTranspose2d(2, 3, 1, **k),
        lambda **k: nn.Dropout(0.5, **k),
    ],
)
def test_what_is_random_needs_a_generator(make: Make) -> None:
    with pytest.raises(TypeError, match=r"draws random numbers from a numpy.random.Generator and got none: pass rng="):
        make()
    with pytest.raises(TypeError, match=r"got int: pass rng=np.random.default_rng\(3\)"):
        make(rng=3)


def test_dropout() -> None:
    layer = nn.Dropout(0.3, rng=np.random.default_rng(0))
    x = Tensor(np.ones((100, 100), np.float32), requires_grad=True)
    y = layer(x)
    kept = y.numpy() != 0
    assert kept.mean() == pytest.approx(0.7, abs=0.02)
    np.testing.assert_allclose(y.numpy()[kept], 1 / 0.7, rtol=1e-6)
    y.backward(np.ones(y.shape, np.float32))
    np.testing.assert_allclose(x.grad, y.numpy(), rtol=1e-6)
    assert not np.array_equal(kept, layer(x).numpy() != 0)
    assert np.array_equal(layer.eval()(x).numpy(), x.numpy())


def test_batch_norm_of_the_lecture() -> None:
    x = np.random.default_rng(0).normal(3, 2, size=(32, 5))
    layer = nn.BatchNorm1d(5, momentum=0.001, ddof=1, dtype=np.float64)
    y = layer(Tensor(x))
    np.testing.assert_allclose(y.numpy(), (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + 1e-5), rtol=1e-10)
    np.testing.assert_allclose(layer.running_mean, 0.001 * x.mean(0))
    np.testing.assert_allclose(layer.running_var, 0.999 + 0.001 * x.var(0, ddof=1))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nn.BatchNorm1d(4)(Tensor(np.ones((3, 5)))), r"BatchNorm1d\(4\) got.*\(3, 5\) with 5 channels"),
        (lambda: nn.BatchNorm1d(4)(Tensor(np.ones((3, 2, 4)))), "with 2 channels: give it 4 channels"),
        (lambda: nn.BatchNorm1d(4)(Tensor(np.ones(4))), r"with 1 axes: reshape it to \(N, C\) or \(N, C, L\)"),
        (lambda: nn.BatchNorm2d(4)(Tensor(np.ones((2, 4)))), r"reshape it to \(N, C, H, W\)"),
        (lambda: nn.BatchNorm1d(4)(Tensor(np.ones((1, 4)))), r"1 row.*eval\(\)"),
        (lambda: nn.BatchNorm1d(0), "number of features must be at least 1"),
        (lambda: nn.LayerNorm(()), "positive lengths"),
        (lambda: nn.LayerNorm(4)(Tensor(np.ones((2, 3)))), "normalized_shape"),
        (lambda: nn.GroupNorm(4, 6), "6 channels do not divide into 4"),
        (lambda: nn.GroupNorm(2, 6)(Tensor(np.ones((2, 4)))), "must hold the 6 channels"),
        (lambda: nn.Linear(0, 3, rng=RNG), "both sizes must be at least 1"),
        (lambda: nn.Linear(4, 3, rng=RNG)(Tensor(np.ones((2, 3)))), r"\(2, 3\)"),
        (lambda: nn.Embedding(0, 3, rng=RNG), "both sizes must be at least 1"),
        (lambda: nn.Conv2d(3, 0, 3, rng=RNG), "from 3 to 0 channels"),
        (lambda: nn.Conv1d(3, 4, 0, rng=RNG), "all must be at least 1"),
        (lambda: nn.Dropout(1.5, rng=RNG), "between 0 and 1"),
        (lambda: nn.Conv1d(3, 4, 2, groups=2, rng=RNG), "groups=2 must divide both"),
        (lambda: nn.ConvTranspose1d(3, 4, 2, output_padding=1, rng=RNG)(np.ones((3, 4))), "must be smaller"),
        (lambda: nn.RMSNorm(0), "positive lengths"),
        (lambda: nn.PReLU(0), "at least 1"),
        (lambda: nn.PReLU(3)(Tensor(np.ones((2, 4)))), r"one for each channel, shape \(4,\)"),
        (lambda: nn.InstanceNorm1d(0), "number of features must be at least 1"),
        (lambda: nn.InstanceNorm2d(4)(Tensor(np.ones((2, 3, 4, 5)))), r"\(N, C, H, W\) with 4 channels"),
        (lambda: nn.AdaptiveAvgPool1d(0)(Tensor(np.ones((2, 3)))), "got 0 windows for an axis of length 3"),
        (lambda: nn.MaxPool1d(2)(Tensor(np.ones(3))), r"max_pool1d takes an input of shape \(N, C, L\)"),
        (lambda: nn.Softplus(0.0)(Tensor(1.0)), "beta=0"),
        (lambda: nn.CELU(0.0)(Tensor(1.0)), "alpha=0"),
        (lambda: nn.CrossEntropyLoss(reduction="avg"), "reduction must be"),
    ],
)  # fmt: skip
def test_mistakes_get_a_sentence(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_one_row_is_normalised_in_evaluation() -> None:
    layer = nn.BatchNorm1d(4).eval()
    x = Tensor(np.full((1, 4), 2.0, np.float32))
    np.testing.assert_allclose(layer(x).numpy(), x.numpy(), rtol=1e-4)


def test_descriptions() -> None:
    def told(layer: nn.Module) -> str:
        return repr(layer).split("  ")[0]

    assert told(nn.BatchNorm1d(3, momentum=0.001, ddof=1, affine=False)) == (
        "BatchNorm1d(3, momentum=0.001, ddof=1, affine=False)"
    )
    assert told(nn.Conv2d(3, 8, (3, 5), stride=2, padding=1, bias=False, rng=RNG)) == (
        "Conv2d(3, 8, kernel_size=(3, 5), stride=2, padding=1, bias=False)"
    )
    assert told(nn.Conv1d(4, 8, 3, padding="same", groups=2, rng=RNG)) == (
        "Conv1d(4, 8, kernel_size=3, padding='same', groups=2)"
    )
    assert told(nn.ConvTranspose2d(4, 8, 3, 2, 1, 1, rng=RNG)) == (
        "ConvTranspose2d(4, 8, kernel_size=3, stride=2, padding=1, output_padding=1)"
    )
    assert told(nn.LayerNorm((2, 3), eps=1e-3)) == "LayerNorm((2, 3), eps=0.001)"
    assert told(nn.LayerNorm(2, bias=False)) == "LayerNorm(2, bias=False)"
    assert told(nn.LayerNorm(2, bias=False, elementwise_affine=False)) == "LayerNorm(2, elementwise_affine=False)"
    assert told(nn.RMSNorm(2, 1e-3, False)) == "RMSNorm(2, eps=0.001, elementwise_affine=False)"
    assert told(nn.InstanceNorm1d(2, affine=True)) == "InstanceNorm1d(2, affine=True)"
    assert told(nn.BatchNorm1d(2, momentum=None, track_running_stats=False)) == (
        "BatchNorm1d(2, momentum=None, track_running_stats=False)"
    )
    assert told(nn.AvgPool2d(3, 2, count_include_pad=False)) == "AvgPool2d(3, stride=2, count_include_pad=False)"
    assert told(nn.AdaptiveAvgPool2d((2, None))) == "AdaptiveAvgPool2d((2, None))"
    assert told(nn.PReLU(3)) == "PReLU(3)" and told(nn.Softmax(1)) == "Softmax(dim=1)"
    assert told(nn.CrossEntropyLoss(ignore_index=-1, reduction="sum")) == (
        "CrossEntropyLoss(ignore_index=-1, reduction='sum')"
    )
    assert told(nn.GroupNorm(2, 4, affine=False)) == "GroupNorm(2, 4, affine=False)"
    assert told(nn.MaxPool2d(2, 1)) == "MaxPool2d(2, stride=1)"
    assert told(nn.Dropout(0.5, rng=RNG)) == "Dropout(0.5)"
    assert told(nn.ELU()) == "ELU(1)" and told(nn.LeakyReLU()) == "LeakyReLU(0.01)"
    assert told(nn.GELU("tanh")) == "GELU(approximate='tanh')" and told(nn.Flatten(2)) == "Flatten(start_dim=2)"
