"""Models that torch runs: CLIP through clip-anytorch, and copy detection from TorchScript."""

import importlib
import sys
import types
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optout.embeddings.preparation import Pixels, Preparation, clip_preparation
from optout.errors import BadInput, UsageError

__all__ = ["TorchNetwork", "choose_device", "clip_network", "import_clip", "import_torch", "script_network"]

F32 = npt.NDArray[np.float32]

_PRECISIONS = ("float32", "float16", "bfloat16")


class TorchNetwork:
    """A torch module that takes normalised pictures.

    Args:
        module: takes float[n, 3, side, side], gives float[n, D].
        preparation: mean and deviation that the pictures are normalised by, on the device.
        device: where it runs.
        precision: `float32`, `float16` or `bfloat16`, that of the module's weights.
        compiled: whether torch.compile writes the module's code anew, which takes 20 seconds.
    """

    def __init__(
        self, module: Any, preparation: Preparation, *, device: str, precision: str, compiled: bool = False
    ) -> None:
        torch = import_torch()
        self.torch, self.device, self.dtype = torch, torch.device(device), getattr(torch, precision)
        self.module = module.eval().to(self.device)
        self.run = torch.compile(self.module, dynamic=False) if compiled else self.module
        self.fixed_batch = compiled
        shape = {"dtype": torch.float32, "device": self.device}
        self.mean = torch.tensor(preparation.mean, **shape).view(3, 1, 1)
        self.deviation = torch.tensor(preparation.deviation, **shape).view(3, 1, 1)

    def __call__(self, batches: Iterable[Pixels]) -> F32:
        """Outputs of all batches; the device works on one while the next is copied to it."""
        largest, outputs = 0, []
        with self.torch.inference_mode():
            for batch in batches:
                largest = max(largest, len(batch))
                outputs.append(self._forward(batch, largest if self.fixed_batch else len(batch)))
            # Nothing waits for the device before here.
            return np.asarray(self.torch.cat(outputs).cpu().numpy(), np.float32)

    def _forward(self, batch: Pixels, size: int) -> Any:
        pixels = self.torch.from_numpy(np.ascontiguousarray(batch))
        if self.device.type == "cuda":
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        pixels = pixels.permute(0, 3, 1, 2).to(self.torch.float32).div_(255)
        pixels = pixels.sub_(self.mean).div_(self.deviation).to(self.dtype)
        if len(batch) < size:
            # Code compiled for one size of batch would be compiled again for the rest.
            pixels = self.torch.nn.functional.pad(pixels, (0, 0, 0, 0, 0, 0, 0, size - len(batch)))
        return self.run(pixels.contiguous())[: len(batch)].float()


def import_torch() -> Any:
    """The module torch.

    Raises:
        UsageError: it is not installed (`embeddings_not_installed`).
    """
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise _not_installed("torch") from error


def import_clip() -> Any:
    """clip-anytorch, also where torchvision was built for another torch, or setuptools is too new for it.

    Raises:
        UsageError: it is not installed (`embeddings_not_installed`).
    """
    import_torch()
    with warnings.catch_warnings():
        # It imports pkg_resources, which says that it is deprecated.
        warnings.simplefilter("ignore")
        _import_or_replace("torchvision", "torchvision._meta_registrations")
        _import_or_replace("pkg_resources", "pkg_resources")
        try:
            return importlib.import_module("clip")
        except ImportError as error:
            raise _not_installed("clip-anytorch") from error


def _import_or_replace(name: str, part: str) -> None:
    """Import a module; where that fails, put an empty one in the place of what clip can do without."""
    try:
        importlib.import_module(name)
    except (ImportError, RuntimeError):
        stub = types.ModuleType(part)
        # All that clip wants of pkg_resources is the copy of `packaging` in it.
        stub.__dict__["packaging"] = types.SimpleNamespace(
            version=importlib.import_module("packaging.version")
        )
        for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] == name]:
            del sys.modules[loaded]
        sys.modules[part] = stub


def _not_installed(name: str) -> UsageError:
    return UsageError(
        f"embeddings need {name}, which is not installed: pip install optout[embeddings]",
        code="embeddings_not_installed",
    )


def choose_device(device: str | None, precision: str | None) -> tuple[str, str]:
    """The GPU with half precision where there is one, else the CPU with full, unless said otherwise.

    Raises:
        UsageError: no such precision (`unknown_precision`).
    """
    device = device or ("cuda" if import_torch().cuda.is_available() else "cpu")
    precision = precision or ("float16" if device.startswith("cuda") else "float32")
    if precision not in _PRECISIONS:
        raise UsageError(
            f"{precision!r} is no precision; there are {', '.join(_PRECISIONS)}", code="unknown_precision"
        )
    return device, precision


def clip_network(
    path: Path, *, device: str, precision: str, compiled: bool
) -> tuple[TorchNetwork, Preparation, int, str]:
    """CLIP's picture half from a checkpoint in OpenAI's format, a TorchScript archive or a plain state_dict.

    Returns:
        the network, the preparation, the dimension and the name of the architecture.

    Raises:
        BadInput: the file holds something else (`bad_model`).
    """
    clip = import_clip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            visual = clip.load(str(path), device="cpu")[0].visual
    except Exception as error:  # torch and clip fail in many ways on files that are none
        raise BadInput(
            f"{path} is not a CLIP checkpoint in OpenAI's format: {type(error).__name__}: {error}",
            code="bad_model",
        ) from error
    preparation = clip_preparation(visual.input_resolution)
    with import_torch().no_grad():
        _simplify(visual, clip.model)
    visual.to(getattr(import_torch(), precision))
    network = TorchNetwork(visual, preparation, device=device, precision=precision, compiled=compiled)
    return network, preparation, int(visual.output_dim), _architecture(visual)


def _simplify(visual: Any, parts: Any) -> None:
    """The same function of fewer steps, in place, for clip's vision transformer.

    clip turns numbers to float32 around every layer norm, which torch's own does inside. And it computes
    x sigmoid(a x) in three steps, which is silu(a x) / a: a goes into the weights before it, 1 / a into those
    after it.
    """
    layers, steep = import_torch().nn, 1.702
    for module in list(visual.modules()):
        for name, part in module.named_children():
            if isinstance(part, parts.LayerNorm):
                plain = layers.LayerNorm(part.normalized_shape, eps=part.eps)
                plain.load_state_dict(part.state_dict())
                setattr(module, name, plain)
        if isinstance(module, parts.ResidualAttentionBlock):
            for parameter in module.mlp.c_fc.parameters():
                parameter.mul_(steep)
            module.mlp.c_proj.weight.div_(steep)
            module.mlp.gelu = layers.SiLU()


def _architecture(visual: Any) -> str:
    """As OpenAI names its own; others by width, layers and patch."""
    if not hasattr(visual, "conv1") or not hasattr(visual, "transformer"):
        return f"RN-{visual.input_resolution}-{visual.output_dim}"
    width, patch = visual.conv1.out_channels, visual.conv1.kernel_size[0]
    layers = len(visual.transformer.resblocks)
    size = {(768, 12): "B", (1024, 24): "L"}.get((width, layers), f"{width}x{layers}")
    usual = visual.input_resolution == 224
    return f"ViT-{size}/{patch}" + ("" if usual else f"@{visual.input_resolution}px")


def script_network(path: Path, preparation: Preparation, *, device: str) -> TorchNetwork:
    """A model from a TorchScript file, in single precision.

    Raises:
        BadInput: the file holds something else (`bad_model`).
    """
    torch = import_torch()
    try:
        with warnings.catch_warnings():
            # It says that torch.export is to be preferred; SSCD's files are what they are.
            warnings.simplefilter("ignore")
            module = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, OSError, ValueError) as error:
        raise BadInput(f"{path} is not a TorchScript model: {error}", code="bad_model") from error
    return TorchNetwork(module, preparation, device=device, precision="float32")
