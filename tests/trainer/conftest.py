"""Keys, a small data set with its receipt, and the command in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optout import keys
from optout.cli.app import run as run_optout
from tests.trainer.support import Ran, samples, write_receipt, write_tar
from trainer.cli.app import run as run_trainer

#: Warnings of the libraries that the trainer stands on; ours stay errors.
_THIRD_PARTY = (
    "ignore::DeprecationWarning:(diffusers|transformers|peft|accelerate|torch|tensorboard|google)",
    "ignore::FutureWarning:(diffusers|transformers|peft|accelerate|torch)",
    "ignore::UserWarning:(torch|peft|diffusers)",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            for text in _THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(text))


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with private.pem and public.pem."""
    folder = tmp_path_factory.mktemp("keys")
    keys.generate(folder)
    return folder


@pytest.fixture
def private(signer: Path) -> keys.PrivateKey:
    return keys.load_private(signer / "private.pem")


@pytest.fixture
def filtered(tmp_path: Path, private: keys.PrivateKey) -> Path:
    """Two tars with 24 samples, and their receipt."""
    folder = tmp_path / "filtered"
    write_tar(folder / "00000.tar", samples(16))
    write_tar(folder / "00001.tar", samples(8, seed=1))
    write_receipt(folder, private)
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion with tiny random weights, in diffusers layout."""
    import torch

    from trainer.models.text import learn_tokenizer, make_text_encoder

    # isort: split
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    torch.manual_seed(0)
    tokenizer = learn_tokenizer(["a red square", "a blue square"], size=600, tokens=8)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
        ),
        text_encoder=make_text_encoder(tokenizer, width=16, layers=1, projected=False),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=16,
            attention_head_dim=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        scheduler=PNDMScheduler(skip_prk_steps=True, steps_offset=1, beta_schedule="scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    folder = tmp_path_factory.mktemp("base") / "tiny-sd"
    pipeline.save_pretrained(str(folder), safe_serialization=True)
    return folder


def _runner(run: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def go(*arguments: object) -> Ran:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return go


@pytest.fixture
def trainer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    return _runner(run_trainer, capsys)


@pytest.fixture
def optout(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    return _runner(run_optout, capsys)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads on a busy machine wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
