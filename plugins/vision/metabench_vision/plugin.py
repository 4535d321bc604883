"""Images for metabench: task sources and encoders.

This module holds descriptors only; it imports neither torch nor an image library.
"""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import DataFile, EncoderInfo, ReaderInfo, TaskSourceInfo, hookimpl

__all__ = ["metabench_encoders", "metabench_readers", "metabench_task_sources"]

SOURCES = "metabench_vision.sources"
ENCODERS = "metabench_vision.encoders"

_LAKE = "https://github.com/brendenlake/omniglot/raw/master/python"
_SNELL = (
    "https://raw.githubusercontent.com/jakesnell/prototypical-networks/"
    "c9bb4d258267c11cb6e23f0a19242d24ca98ad8a/data/omniglot/splits/vinyals"
)
_KLASSON = (
    "https://raw.githubusercontent.com/marcusklasson/GroceryStoreDataset/"
    "fc80ba90f803d79d0383df52c5a4ac5de99ff6fc/dataset"
)

_BACKGROUND = DataFile(
    path="vision/omniglot/images_background.zip", url=f"{_LAKE}/images_background.zip"
)
_EVALUATION = DataFile(
    path="vision/omniglot/images_evaluation.zip", url=f"{_LAKE}/images_evaluation.zip"
)
_RUNS = DataFile(
    path="vision/omniglot/all_runs.zip",
    url=f"{_LAKE}/one-shot-classification/all_runs.zip",
    sha256="437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
)
_VINYALS = tuple(
    DataFile(path=f"vision/omniglot/splits/vinyals/{name}", url=f"{_SNELL}/{name}", sha256=digest)
    for name, digest in (
        ("train.txt", "984522c194c30fb678ce53304a160a42faf5403ad4f9a67010f32dd3a35738e0"),
        ("val.txt", "11f99e54faee3e26f53d3231c1cceac5bf7b8730e9be31cb6dab256551dc0c1a"),
        ("test.txt", "845264cc5c156180828ccf17915668b17ee21424d0170df6e7d81676aa5d1204"),
    )
)
_GROCERY = (
    # Photographs shrunk to 84 x 84 by us. Without it, the upstream folder `dataset` serves too.
    DataFile(path="vision/grocery_store/grocery_84.zip"),
    *(
        DataFile(path=f"vision/grocery_store/{name}", url=f"{_KLASSON}/{name}", sha256=digest)
        for name, digest in (
            ("classes.csv", "6e1115adf36741498034165778a3300cd11f24c419e32a60d0a5057dd92998c1"),
            ("train.txt", "b6d6a4d25fc2a7604f4bbd4e8010516f3bb643f727fc60ef5fca042edd01294f"),
            ("val.txt", "a2a2bdf8ce34196c1a1dd554bd67e780793aab9363dd40d6cf50fe2d168a78b6"),
            ("test.txt", "9a464934780665c0024db405571c0dd2d149488a245f476557de7f1c31cf8a93"),
        )
    ),
)
_MINI_IMAGENET = (
    DataFile(path="vision/mini_imagenet/images"),
    *(
        DataFile(path=f"vision/mini_imagenet/{name}", sha256=digest)
        for name, digest in (
            ("train.csv", "498519cd8e49ce97ed26a4a3638966698ae41ab35e9c68538319fc9b46ba7d2f"),
            ("val.csv", "5658a59921ca027ee76af92949869c5d6f41d77592ff3b18db325a9d10c893b9"),
            ("test.csv", "2b7cfa78342995761a572a8158e539bc4e0a80f9bbd7d00c1e17a460fbbb93fa"),
        )
    ),
)
_LAKE_2015 = "Lake, Salakhutdinov & Tenenbaum (2015), Science 350:1332"
_VINYALS_2016 = f"{_LAKE_2015}; split of Vinyals et al. (2016), NeurIPS"


@hookimpl
def metabench_task_sources() -> Iterator[TaskSourceInfo]:
    """Yield the image sources."""
    yield TaskSourceInfo(
        name="glyphs",
        summary="characters in the type faces of matplotlib, one script never in two splits",
        target=f"{SOURCES}.glyphs:glyphs",
        citation="metabench; Bitstream Vera / DejaVu and STIX fonts",
        licence="Bitstream-Vera AND OFL-1.1",
        domain="vision",
        modality="image",
        synthetic=True,
        suites={"quick": {}},
    )
    yield TaskSourceInfo(
        name="digits",
        summary="scikit-learn's handwritten digits, 8 x 8; three digits to test on",
        target=f"{SOURCES}.digits:digits",
        citation="Alpaydin & Kaynak (1998), UCI Machine Learning Repository",
        licence="CC-BY-4.0",
        domain="vision",
        modality="image",
        requires=("sklearn",),
        protocol={"way": 3},
        suites={"quick": {}},
    )
    yield TaskSourceInfo(
        name="omniglot",
        summary="handwritten characters, 4112/688/1692 classes with rotations (Vinyals split)",
        target=f"{SOURCES}.omniglot:omniglot",
        citation=_VINYALS_2016,
        licence="MIT",
        domain="vision",
        modality="image",
        files=(_BACKGROUND, _EVALUATION, *_VINYALS),
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="omniglot-20way",
        summary="omniglot with 20 classes per episode",
        target=f"{SOURCES}.omniglot:omniglot",
        citation=_VINYALS_2016,
        licence="MIT",
        domain="vision",
        modality="image",
        files=(_BACKGROUND, _EVALUATION, *_VINYALS),
        protocol={"way": 20},
        suites={"full": {}},
    )
    yield TaskSourceInfo(
        name="omniglot-lake-runs",
        summary="Lake's twenty fixed one-shot runs within an alphabet, learnt from 30 others",
        target=f"{SOURCES}.omniglot_lake_runs:omniglot_lake_runs",
        citation=_LAKE_2015,
        licence="MIT",
        domain="vision",
        modality="image",
        files=(_BACKGROUND, _RUNS),
        protocol={"way": 20, "draws": 1},
        suites={"full": {"shots": [1]}},
    )
    yield TaskSourceInfo(
        name="grocery",
        summary="photographs of fruit, vegetables and packages, split by coarse class",
        target=f"{SOURCES}.grocery:grocery",
        citation="Klasson, Zhang & Kjellström (2019), WACV; few-shot split by metabench",
        licence="MIT",
        domain="vision",
        modality="image",
        files=_GROCERY,
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="mini-imagenet",
        summary="100 classes of ImageNet, 84 x 84 (Ravi split); to be obtained by hand",
        target=f"{SOURCES}.mini_imagenet:mini_imagenet",
        citation="Vinyals et al. (2016), NeurIPS; split of Ravi & Larochelle (2017), ICLR",
        licence="LicenseRef-ImageNet",
        domain="vision",
        modality="image",
        files=_MINI_IMAGENET,
        suites={"full": {}},
    )


@hookimpl
def metabench_encoders() -> Iterator[EncoderInfo]:
    """Yield the image encoders."""
    yield EncoderInfo(
        name="conv4",
        summary="four convolutions of 64 channels, from scratch",
        target=f"{ENCODERS}.conv4:Conv4",
        citation="Vinyals et al. (2016), NeurIPS; as in Snell et al. (2017), NeurIPS",
        licence="Apache-2.0",
        modalities=("image",),
        trainable=True,
        feature_map=True,
        suites=("quick", "standard", "full"),
    )
    for name, channels, what in (
        ("conv4-concat", (64, 64, 64, 64), "64 channels"),
        ("conv4-concat-wide", (96, 192, 384, 512), "96-192-384-512 channels"),
    ):
        yield EncoderInfo(
            name=name,
            summary=f"four convolutions of {what}, the last two joined, from scratch",
            target=f"{ENCODERS}.conv4_concat:Conv4Concat",
            options={"channels": channels},
            citation="Bertinetto et al. (2019), ICLR (R2-D2)",
            licence="Apache-2.0",
            modalities=("image",),
            trainable=True,
        )
    yield EncoderInfo(
        name="resnet12",
        summary="residual network of 64-160-320-640 channels, from scratch",
        target=f"{ENCODERS}.resnet12:ResNet12",
        citation="Lee et al. (2019), CVPR (MetaOptNet)",
        licence="Apache-2.0",
        modalities=("image",),
        trainable=True,
        feature_map=True,
        suites=("full",),
    )
    yield EncoderInfo(
        name="pixels",
        summary="the pixels themselves; large images are averaged down to 28 x 28",
        target=f"{ENCODERS}.pixels:Pixels",
        licence="Apache-2.0",
        modalities=("image",),
        trainable=False,
        suites=("quick", "standard", "full"),
    )
    yield EncoderInfo(
        name="hf-vision",
        summary="any transformers vision backbone, frozen",
        target=f"{ENCODERS}.hf_vision:HFVision",
        citation="Wolf et al. (2020), EMNLP (transformers)",
        modalities=("image",),
        trainable=False,
        argument="model id or path",
        requires=("transformers",),
    )
    yield EncoderInfo(
        name="timm",
        summary="any timm image model, frozen",
        target=f"{ENCODERS}.timm_model:TimmModel",
        citation="Wightman (2019), PyTorch image models",
        modalities=("image",),
        trainable=False,
        argument="model, or model@weights.safetensors",
        libraries=("timm",),
    )


@hookimpl
def metabench_readers() -> Iterator[ReaderInfo]:
    """Yield how users' own items are read."""
    yield ReaderInfo(
        name="images",
        summary="image files, resized to 84 x 84 RGB",
        target="metabench_vision.reader:ImageReader",
        domain="vision",
        modality="image",
        suffixes=(".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff"),
        requires=("PIL",),
    )
