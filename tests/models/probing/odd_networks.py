"""Odd networks, one factory each, for `--model odd_networks.py:NAME` on images of 3 x 32 x 32.

A factory's docstring says what is right: `runs`; `refused: WORDS`, where the one line holds these words;
or `output: KIND`, where the network runs and what it returns is no row of logits: it is judged as what it
is, or refused in one line. `runs, noted: WORDS` says of what the user is told.
"""

import collections
import dataclasses
import sys
import threading
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

SHAPE = (3, 32, 32)


def cbr(inputs, outputs, stride=1, act=nn.ReLU, norm=nn.BatchNorm2d):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm(outputs), act())


def settled(model, shape=SHAPE):
    """Its BatchNorm layers hold statistics that belong to its weights."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            module.momentum = 0.5
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, *shape))
    return model.eval()


class Base(nn.Module):
    def __init__(self, classes=10, act=nn.ReLU, norm=nn.BatchNorm2d):
        super().__init__()
        self.f = nn.Sequential(
            cbr(3, 8, 2, act, norm), cbr(8, 16, 2, act, norm), cbr(16, 16, 1, act, norm)
        )
        self.fc = nn.Linear(16, classes)

    def embed(self, x):
        return self.f(x).mean((2, 3))

    def forward(self, x):
        return self.fc(self.embed(x))


def variant(forward, **attributes):
    """Base with another forward, and with what that one reads."""
    model = settled(Base())
    model.__class__ = type("Variant", (Base,), {"forward": forward})
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


def base():
    return settled(Base())


# --- what the memory layout may break -----------------------------------------------------------


def plain():
    """runs"""
    return base()


class Viewing(nn.Module):
    def __init__(self, flatten):
        super().__init__()
        self.f, self.fc = nn.Sequential(cbr(3, 8, 2), cbr(8, 8, 2)), nn.Linear(8 * 8 * 8, 10)
        self.flatten = flatten

    def forward(self, x):
        return self.fc(self.flatten(self.f(x)))


def _view(x):
    return x.view(x.shape[0], -1)


def _view_by_size(x):
    return x.view(x.size(0), 8 * 8 * 8)


def view_flatten():
    """runs"""
    return settled(Viewing(_view))


def view_by_size():
    """runs"""
    return settled(Viewing(_view_by_size))


def reshape_flatten():
    """runs"""
    return settled(Viewing(nn.Flatten()))


def view_in_the_middle():
    """runs"""

    def forward(self, x):
        y = self.f[0](x)
        n, c, h, w = y.shape
        y = y.view(n, c // 2, 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)  # shuffled
        return self.fc(self.f[2](self.f[1](y)).mean((2, 3)))

    return variant(forward)


class Conv3d(nn.Module):
    def __init__(self):
        super().__init__()
        self.three = nn.Conv3d(1, 4, (3, 3, 3), (3, 2, 2), (0, 1, 1))
        self.two, self.fc = cbr(4, 8, 2), nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(self.two(self.three(x[:, None])[:, :, 0]).mean((2, 3)))


def conv_3d():
    """runs, noted: neither Conv2d nor Linear"""
    return settled(Conv3d())


class Conv1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.two, self.one, self.fc = cbr(3, 8, 2), nn.Conv1d(8, 8, 3), nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(F.relu(self.one(self.two(x).mean(3))).mean(2))


def conv_1d():
    """runs, noted: neither Conv2d nor Linear"""
    return settled(Conv1d())


def as_strided():
    """runs"""

    def forward(self, x):
        y = self.f(x)
        n, c, h, w = y.shape
        y = torch.as_strided(y, (n, c, h * w), (c * h * w, h * w, 1))
        return self.fc(y.mean(2))

    return variant(forward)


# --- what is done to the images -------------------------------------------------------------------


def inplace_input():
    """runs, noted: writes into the images"""
    return variant(lambda self, x: Base.forward(self, x.sub_(0.5).div_(0.5)))


def inplace_relu_first():
    """runs, noted: writes into the images"""
    return settled(nn.Sequential(nn.ReLU(inplace=True), Base()))


def inplace_by_index():
    """runs, noted: writes into the images"""

    def forward(self, x):
        x[:, 0] = x[:, 0] * 0.5
        return Base.forward(self, x)

    return variant(forward)


def inplace_by_data():
    """runs, noted: writes into the images"""

    def forward(self, x):
        x.data.mul_(0.5)
        return Base.forward(self, x)

    return variant(forward)


def inplace_inside():
    """runs"""
    return settled(Base(act=lambda: nn.ReLU(inplace=True)))


# --- gradients --------------------------------------------------------------------------------------


def no_grad():
    """runs, noted: no gradient"""
    return variant(torch.no_grad()(lambda self, x: Base.forward(self, x)))


def detached_input():
    """runs, noted: no gradient"""
    return variant(lambda self, x: Base.forward(self, x.detach()))


def through_numpy():
    """runs, noted: no gradient"""
    return variant(lambda self, x: Base.forward(self, torch.from_numpy(x.detach().numpy().copy())))


def rounded_input():
    """runs, noted: gradient"""
    return variant(lambda self, x: Base.forward(self, torch.round(x)))


def detached_at_the_end():
    """runs"""
    return variant(lambda self, x: self.fc(self.embed(x).detach()))


# --- kinds of modules -------------------------------------------------------------------------------


def half():
    """runs, noted: built as float16"""
    return base().half()


def bfloat16():
    """runs, noted: built as bfloat16"""
    return base().bfloat16()


def double():
    """runs, noted: built as float64"""
    return base().double()


def half_buffer():
    """runs, noted: built as float16"""
    model = variant(lambda self, x: Base.forward(self, x * self.scale.to(x.dtype)))
    model.register_buffer("scale", torch.tensor(0.5, dtype=torch.float16))
    return model


def weight_norm_old():
    """runs, noted: weight norm"""
    model = base()
    nn.utils.weight_norm(model.f[1][0])
    nn.utils.weight_norm(model.fc)
    return model


def weight_norm():
    """runs, noted: WeightNorm"""
    model = base()
    parametrizations.weight_norm(model.f[1][0])
    return model


def spectral_norm_old():
    """runs, noted: spectral norm"""
    model = Base()
    nn.utils.spectral_norm(model.f[1][0])
    return settled(model)


def spectral_norm():
    """runs, noted: SpectralNorm"""
    model = Base()
    parametrizations.spectral_norm(model.f[1][0])
    return settled(model)


def orthogonal():
    """runs, noted: Orthogonal"""
    model = base()
    parametrizations.orthogonal(model.fc)
    return model


def pruned():
    """runs, noted: pruning"""
    model = base()
    for part in model.f:
        prune.l1_unstructured(part[0], "weight", 0.5)
    return model


def pruned_twice():
    """runs, noted: pruning"""
    model = base()
    prune.l1_unstructured(model.fc, "weight", 0.3)
    prune.random_structured(model.fc, "weight", 0.3, dim=0)
    prune.l1_unstructured(model.fc, "bias", 0.3)
    return model


def lazy():
    """runs, noted: lazy"""
    return nn.Sequential(
        nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.LazyLinear(10),
    )  # fmt: skip


def sync_batchnorm():
    """runs, noted: SyncBatchNorm"""
    return nn.SyncBatchNorm.convert_sync_batchnorm(base())


def scripted():
    """refused: TorchScript"""
    return torch.jit.script(base())


def traced():
    """refused: TorchScript"""
    return torch.jit.trace(base(), torch.zeros(1, *SHAPE))


def scripted_inside():
    """refused: TorchScript"""
    return nn.Sequential(cbr(3, 3), torch.jit.script(base()))


def traced_by_fx():
    """runs"""
    return torch.fx.symbolic_trace(base())


def quantized():
    """refused: quantized"""
    return nn.Sequential(
        base(), torch.ao.nn.quantized.dynamic.Linear.from_float(_observed(nn.Linear(10, 10)))
    )


def _observed(layer):
    layer.qconfig = torch.ao.quantization.default_dynamic_qconfig
    return layer


def on_meta():
    """refused: meta device"""
    return Base().to("meta")


def complex_weights():
    """refused: only real numbers"""
    return nn.Sequential(nn.Conv2d(3, 4, 3, dtype=torch.cfloat), nn.Flatten())


def fourier_inside():
    """runs"""

    def forward(self, x):
        return Base.forward(self, torch.fft.fft2(x).abs().log1p())

    return variant(forward)


# --- copies and hooks -------------------------------------------------------------------------------


def lock():
    """runs, noted: cannot be copied (lock)"""
    model = base()
    model.lock = threading.Lock()
    return model


def locks_in_a_list():
    """runs, noted: cannot be copied (lock)"""
    model = base()
    model.f.held = {"locks": [threading.Lock()], "word": "here"}
    return model


def open_file():
    """runs, noted: cannot be copied"""
    model = base()
    model.log = sys.__stderr__
    return model


def module_attribute():
    """runs, noted: cannot be copied (module)"""
    model = base()
    model.np = sys
    return model


def generator():
    """runs"""

    def numbers():
        yield from range(3)

    model = base()
    model.numbers = numbers()
    return model


def keeps_its_features():
    """runs"""

    def forward(self, x):
        self.features = self.embed(x)
        return self.fc(self.features)

    return variant(forward)


def watching_hook():
    """runs, noted: hooks that only watch"""
    model, seen = base(), []
    model.f[1].register_forward_hook(lambda module, args, output: seen.append(output))
    return model


def changing_hook():
    """runs, noted: hooks that change"""
    model = base()
    model.f[1].register_forward_hook(lambda module, args, output: output * 0.5)
    return model


def hook_on_the_whole():
    """refused: hook on the network itself"""
    model = base()
    model.register_forward_pre_hook(lambda module, args: (args[0] * 0.5,))
    return model


def features_by_hook():
    """runs, noted: hooks that change"""
    kept = {}
    model = variant(lambda s, x: (s.f(x), s.fc(s.kept["f"].mean((2, 3))))[1], kept=kept)
    model.f.register_forward_hook(_Keeper(model.kept))
    return model


class _Keeper:
    def __init__(self, kept):
        self.kept = kept

    def __call__(self, module, args, output):
        self.kept["f"] = output


def layers_in_a_lambda():
    """refused: of the original"""
    model = variant(lambda s, x: s.fc(s.f[2](s.f[1](s.act(x))).mean((2, 3))))
    first = model.f[0]
    model.act = lambda x: first(x)
    return model


def layers_in_a_list():
    """runs"""

    def forward(self, x):
        for part in self.order:
            x = part(x)
        return self.fc(x.mean((2, 3)))

    model = base()
    model.order = list(model.f)
    model.__class__ = type("Listed", (Base,), {"forward": forward})
    return model


# --- structure --------------------------------------------------------------------------------------


class Shared(Base):
    def forward(self, x):
        x = self.f[1](self.f[0](x))
        for _ in range(3):
            x = self.f[2](x)
        return self.fc(x.mean((2, 3)))


def shared_layer():
    """runs"""
    return settled(Shared())


def batchnorm_twice():
    """runs"""
    model = Base()
    model.f[2][1] = model.f[1][1]
    return settled(model)


def tied_weights():
    """runs"""
    model = Base()
    model.extra = nn.Conv2d(16, 16, 3, 1, 1, bias=False)
    model.extra.weight = model.f[2][0].weight
    model.__class__ = type(
        "Tied", (Base,), {"forward": lambda s, x: s.fc(s.extra(s.f(x)).mean((2, 3)))}
    )
    return settled(model)


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.position = nn.Parameter(torch.zeros(1, 16, 16))
        self.body = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.fc(self.body(x).mean(1))


def transformer():
    """runs"""
    return Transformer()


class Containers(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({"a": nn.ModuleList([cbr(3, 8, 2), cbr(8, 8)]), "b": cbr(8, 16)})
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(1)) for _ in range(2)])
        self.names = nn.ParameterDict({"shift": nn.Parameter(torch.zeros(1))})
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        for part, scale in zip(self.parts["a"], self.scales, strict=True):
            x = part(x) * scale
        return self.fc((self.parts["b"](x) + self.names["shift"]).mean((2, 3)))


def containers():
    """runs"""
    return settled(Containers())


def functional_conv():
    """runs, noted: neither Conv2d nor Linear"""
    model = base()
    model.kernel = nn.Parameter(torch.randn(3, 3, 3, 3) * 0.2)
    model.__class__ = type(
        "Functional", (Base,), {"forward": lambda s, x: Base.forward(s, F.conv2d(x, s.kernel))}
    )
    return settled(model)


def control_flow():
    """runs, noted: cannot be traced"""

    def forward(self, x):
        return Base.forward(self, x if float(x.mean()) > 0 else x * 0.9)

    return variant(forward)


def group_norm():
    """runs"""
    return Base(norm=lambda channels: nn.GroupNorm(4, channels))


def batchnorm_no_affine():
    """runs"""
    return settled(Base(norm=lambda channels: nn.BatchNorm2d(channels, affine=False)))


def batchnorm_cumulative():
    """runs"""
    return settled(Base(norm=lambda channels: nn.BatchNorm2d(channels, momentum=None)))


def batchnorm_forgets():
    """runs, noted: keeps no running mean"""
    return Base(norm=lambda channels: nn.BatchNorm2d(channels, track_running_stats=False))


def batchnorm_untrained():
    """runs, noted: never saw an image"""
    return Base()


def batchnorm_1d():
    """runs"""
    return settled(
        nn.Sequential(
            nn.Flatten(), nn.Linear(3072, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10)
        )
    )


def only_linear():
    """runs"""
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), nn.ReLU(), nn.Linear(16, 10))


def transposed():
    """runs, noted: neither Conv2d nor Linear"""
    return settled(nn.Sequential(cbr(3, 8, 2), nn.ConvTranspose2d(8, 8, 2, 2), Base_head()))


class Base_head(nn.Sequential):  # noqa: N801  (a class of a user's)
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def unused_layers():
    """runs, noted: do not run by themselves"""
    model = base()
    model.auxiliary = nn.Linear(16, 10)
    return model


def recurrent():
    """runs, noted: neither Conv2d nor Linear"""

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.two, self.rnn, self.fc = (
                cbr(3, 8, 2),
                nn.GRU(8, 8, batch_first=True),
                nn.Linear(8, 10),
            )

        def forward(self, x):
            return self.fc(self.rnn(self.two(x).mean(3).transpose(1, 2))[0][:, -1])

    return settled(Recurrent())


def huge_output():
    """runs"""
    return settled(Base(classes=20_000))


def dropout_left_on():
    """runs, noted: another answer to the same images"""
    return variant(lambda self, x: self.fc(F.dropout(self.embed(x), 0.5, training=True)))


def random_output():
    """runs, noted: another answer to the same images"""
    return variant(lambda self, x: Base.forward(self, x) + torch.randn(1))


def trains_itself():
    """refused: as in training"""

    def forward(self, x):
        self.train()
        return Base.forward(self, x)

    return variant(forward)


def module_global():
    """runs"""
    return _GLOBAL


_GLOBAL = base()


# --- sick networks ----------------------------------------------------------------------------------


def nan_weight():
    """refused: 'weight' of layer 'f.1.0'"""
    model = base()
    with torch.no_grad():
        model.f[1][0].weight[0, 0, 0, 0] = float("nan")
    return model


def infinite_bias():
    """refused: 'bias' of layer 'fc'"""
    model = base()
    with torch.no_grad():
        model.fc.bias[2] = float("inf")
    return model


def nan_statistics():
    """refused: 'running_var' of layer 'f.0.1'"""
    model = base()
    model.f[0][1].running_var[0] = float("nan")
    return model


def negative_variance():
    """refused: negative variance"""
    model = base()
    model.f[0][1].running_var[0] = -1
    return model


def nan_output():
    """refused: no numbers"""
    return variant(lambda self, x: Base.forward(self, x).abs().neg().sqrt())


def infinite_mask():
    """runs"""
    model = variant(lambda self, x: self.fc((self.embed(x) + self.mask).exp().clamp(max=5)))
    model.register_buffer("mask", torch.tensor([0.0] * 15 + [-float("inf")]))
    return model


def no_parameters():
    """refused: nothing to quantize"""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def empty():
    """refused: nothing to quantize"""
    return nn.Sequential()


def no_layers():
    """refused: nothing to quantize"""
    return nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


# --- what comes out ---------------------------------------------------------------------------------


class Named(NamedTuple):
    count: int
    logits: torch.Tensor


@dataclasses.dataclass
class Answer:
    logits: torch.Tensor
    note: str = ""


def returns_dict():
    """output: dictionary"""
    return variant(lambda self, x: {"logits": Base.forward(self, x)})


def returns_ordered_dict():
    """output: dictionary"""
    return variant(
        lambda self, x: collections.OrderedDict(out=Base.forward(self, x), aux=self.embed(x))
    )


def returns_tuple():
    """output: tuple"""
    return variant(lambda self, x: (Base.forward(self, x), self.embed(x)))


def returns_list():
    """output: list"""
    return variant(lambda self, x: [Base.forward(self, x)])


def returns_named_tuple():
    """output: named tuple"""
    return variant(lambda self, x: Named(3, Base.forward(self, x)))


def returns_dataclass():
    """output: dataclass"""
    return variant(lambda self, x: Answer(Base.forward(self, x)))


def one_logit():
    """output: one logit"""
    return settled(Base(classes=1))


def squeezed_logit():
    """output: one logit"""
    model = settled(Base(classes=1))
    model.__class__ = type(
        "Squeezed", (Base,), {"forward": lambda self, x: Base.forward(self, x)[:, 0]}
    )
    return model


def embedding():
    """output: embedding"""
    return variant(lambda self, x: F.normalize(self.embed(x)))


def denoiser():
    """output: image"""
    return settled(nn.Sequential(cbr(3, 8), cbr(8, 8), nn.Conv2d(8, 3, 3, 1, 1)))


def segmentation():
    """output: segmentation"""
    return settled(nn.Sequential(cbr(3, 8), cbr(8, 8), nn.Conv2d(8, 5, 1)))


def boxes():
    """output: [images, boxes, numbers]"""
    return variant(lambda self, x: Base.forward(self, x).view(len(x), 2, 5))


def returns_input():
    """refused: no convolution or linear layer that runs"""
    return variant(lambda self, x: x)


def returns_int():
    """refused: returns int"""
    return variant(lambda self, x: int(Base.forward(self, x).argmax()))


def returns_none():
    """refused: returns NoneType"""
    return variant(lambda self, x: None)


def returns_classes():
    """refused: returns a tensor of torch.int64"""
    return variant(lambda self, x: Base.forward(self, x).argmax(1))


def returns_complex():
    """refused: returns a tensor of torch.complex64"""
    return variant(lambda self, x: torch.fft.fft(Base.forward(self, x)))


# --- what goes wrong ---------------------------------------------------------------------------------


def two_inputs():
    """refused: does not run on two images"""
    return variant(lambda self, x, y: Base.forward(self, x + y))


def optional_input():
    """runs"""
    return variant(lambda self, x, mask=None, scale=1.0: Base.forward(self, x) * scale)


def takes_a_dict():
    """refused: does not run on two images"""
    return variant(lambda self, batch: Base.forward(self, batch["image"]))


def takes_bytes():
    """refused: does not run on two images"""

    def forward(self, x):
        if x.dtype != torch.uint8:
            raise TypeError(f"give uint8 images, not {x.dtype}")
        return Base.forward(self, x.float() / 255)

    return variant(forward)


def raises():
    """refused: does not run on two images"""

    def forward(self, x):
        raise KeyError("layer7")

    return variant(forward)


def another_size():
    """refused: model.image_shape"""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 10))


def recursion():
    """refused: RecursionError"""
    return variant(lambda self, x: self.forward(x))


def exits():
    """refused: sys.exit"""
    return variant(lambda self, x: sys.exit(3))


def prints():
    """runs"""

    def forward(self, x):
        print("a batch of", len(x))  # noqa: T201
        return Base.forward(self, x)

    return variant(forward)


def warns():
    """runs"""

    def forward(self, x):
        torch.nn.functional.sigmoid(x)
        return Base.forward(self, x)

    return variant(forward)


def slow():
    """runs"""

    def forward(self, x):
        for _ in range(20):
            x = x + 0 * torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        return Base.forward(self, x)

    return variant(forward)


def asserts_one_size():
    """runs"""

    def forward(self, x):
        assert x.shape[1:] == SHAPE, x.shape
        return Base.forward(self, x)

    return variant(forward)


def asks_for_more():
    """refused: cannot be called"""
    raise RuntimeError("the weights are not on this machine")


def not_a_network():
    """refused: must return a torch.nn.Module"""
    return 3


# --- how values are handed on --------------------------------------------------------------------


class Parted(nn.Module):
    """Two halves of what a layer gives, each read by a layer; `part` takes them apart."""

    def __init__(self, part, shared):
        super().__init__()
        self.c, self.d = cbr(3, 8, 2), nn.Conv2d(4, 8, 3, padding=1)
        self.e = self.d if shared else nn.Conv2d(4, 8, 3, padding=1)
        self.fc = nn.Linear(8, 10)
        self.part = part

    def forward(self, x):
        a, b = self.part(self.c(x))
        return self.fc((self.d(a) + self.e(b)).mean((2, 3)))


def in_chunks():
    """runs"""
    return settled(Parted(lambda y: y.chunk(2, 1), shared=True))


def in_splits():
    """runs"""
    return settled(Parted(lambda y: torch.split(y, 4, 1), shared=False))


def unbound():
    """runs"""
    return settled(Parted(lambda y: y.unflatten(1, (2, 4)).unbind(1), shared=False))


def layer_by_keyword():
    """runs"""
    return variant(lambda self, x: self.fc(input=self.embed(x)))


def convolution_by_keyword():
    """runs"""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.d, self.fc = cbr(3, 8, 2), nn.Conv2d(8, 8, 3), nn.Linear(8, 10)

        def forward(self, x):
            return self.fc(self.d(input=self.c(x)).relu().mean((2, 3)))

    return settled(Net())


def any_number_of_inputs():
    """runs"""
    return variant(lambda self, *images: self.fc(self.embed(images[0])))


def several_inputs():
    """refused: given images alone"""
    return variant(lambda self, x, mask: self.fc(self.embed(x) * mask))


def named_input_alone():
    """refused: given images alone"""
    return variant(lambda self, *, image: self.fc(self.embed(image)))


def moves_to_a_device():
    """refused: take what names a device"""
    return variant(lambda self, x: self.fc(self.embed(x.cuda())))


def compiled():
    """runs, noted: torch.compile taken off"""
    return torch.compile(base())


def compiled_in_place():
    """runs, noted: torch.compile taken off"""
    model = base()
    model.f.compile()
    return model


def data_parallel():
    """runs, noted: DataParallel taken off"""
    return nn.DataParallel(base())


def unregistered_layers():
    """runs, noted: no part of it"""
    return variant(
        lambda self, x: self.fc(self.hidden[0](self.embed(x))), hidden=[nn.Linear(16, 16)]
    )


def sigmoid_labels():
    """runs"""
    return variant(lambda self, x: self.fc(self.embed(x) * 3).sigmoid())


FACTORIES = {
    name: function
    for name, function in list(globals().items())
    if callable(function)
    and (getattr(function, "__doc__", None) or "").startswith(("runs", "refused:", "output:"))
}
