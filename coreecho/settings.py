"""What is trained (`Run`) and at which scale (`Profile`), as plain frozen data.

A run says *what* a number in the paper is about: data set, method, initialisation, clips, seed. A profile says *at
which scale* it is computed: network width, clip shape, epochs, data. Every field carries one sentence and its source;
"gaps X" means section X of the list of choices in ``book/choices.md``. The three profiles themselves are in
`coreecho.profiles`. Ranges are checked where settings are read from text (`from_dict`, `override`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from coreecho.errors import SettingsError

Method = Literal["coreecho", "coreecho-stage1", "l1", "echocotr", "adacon"]
Protocol = Literal["first", "fixed3", "even5", "all"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PhantomSettings:
    """The synthetic data set that stands in for EchoNet-Dynamic where the real one is not at hand."""

    train: int = 1000
    """Number of training videos."""
    val: int = 200
    """Number of validation videos."""
    test: int = 200
    """Number of test videos."""
    size: int = 32
    """Side of the square picture in pixels (EchoNet-Dynamic: 112)."""
    min_frames: int = 36
    """Shortest video in frames."""
    max_frames: int = 36
    """Longest video in frames."""
    fps: float = 25.0
    """Frames per second (EchoNet-Dynamic: mostly 50)."""
    reader_sd: float = 4.0
    """Standard deviation in EF points of the reader's EF about the true one (inter-reader scatter of EF)."""
    seed: int = 2024
    """Seed of the whole data set; video ``i`` depends on (seed, i) only."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """UniFormer: four stages, convolutional, convolutional, attention, attention (section 2.1; gaps A)."""

    widths: tuple[int, int, int, int] = (64, 128, 320, 512)
    """Channels of the four stages; the last is the embedding size (512 in the paper)."""
    depths: tuple[int, int, int, int] = (3, 4, 8, 3)
    """Blocks in the four stages."""
    strides: tuple[int, int, int, int] = (4, 2, 2, 2)
    """Spatial stride of each stage's patch embedding; the first also halves time."""
    head_width: int = 64
    """Channels of one attention head."""
    dropout: float = 0.1
    """Dropout in the blocks (0.1 in the authors' code; the paper names only the head's)."""


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How a clip is cut from a video (supplementary Table 1; gaps A)."""

    frames: PositiveInt = 36
    """Frames in a clip."""
    stride: PositiveInt = 4
    """Every how many frames of the video one is taken."""
    size: PositiveInt = 112
    """Side of the square picture in pixels."""
    pad: NonNegativeInt = 6
    """Pixels added on each side before the random crop in training (112 to 124 and back; EchoCoTr, AdaCon: 12)."""

    @property
    def span(self) -> int:
        """Video frames from the first to the last frame of a clip, both included (141 in the paper)."""
        return (self.frames - 1) * self.stride + 1

    @property
    def minimum_length(self) -> int:
        """Videos shorter than this are extended with black frames to it (144 in the paper)."""
        return self.frames * self.stride


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is optimised (supplementary Table 2; gaps A)."""

    backbone: Literal["uniformer", "r2plus1d"] = "uniformer"
    """Encoder class; r2plus1d is AdaCon's own (torchvision's r2plus1d_18)."""
    head: Literal["mlp", "linear"] = "mlp"
    """Regressor on the embedding: the paper's shallow MLP, or one linear layer (EchoCoTr, AdaCon)."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Optimiser; each group of parameters has its own."""
    batch_size: PositiveInt = 16
    """Videos in a batch; with two views the network sees twice as many clips."""
    epochs: PositiveInt = 25
    """Epochs of stage one, or of end-to-end training."""
    learning_rate: NonNegativeFloat = 1e-4
    """Peak learning rate of stage one, or of end-to-end training."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight decay on every parameter, norms and biases too."""
    schedule: Literal["step", "onecycle"] = "step"
    """Learning-rate schedule of stage one: one or more steps, or warm-up and cosine within one cycle."""
    step_epochs: tuple[int, ...] = (15,)
    """0-based epochs from which the rate is multiplied by 0.1 once more (schedule "step")."""
    warmup: float = 0.05
    """Share of all steps spent warming up (schedule "onecycle")."""
    clip_norm: PositiveFloat | None = None
    """Largest gradient norm of one optimiser's parameters, or none."""
    temperature: PositiveFloat = 1.0
    """Temperature tau of the Rank-N-Contrast loss (equation 1)."""
    head_dropout: float = 0.4
    """Dropout in the MLP head (section 2.1)."""
    refine_epochs: PositiveInt = 5
    """Epochs of stage two, in which only the head moves (section 2.2)."""
    refine_learning_rate: NonNegativeFloat = 1e-4
    """Constant learning rate of stage two (gaps A)."""
    padding: Literal["black", "grey"] = "black"
    """Value of padded pixels and frames: black before normalisation, or the data set's mean grey."""
    selection: Literal["mae", "mse"] = "mae"
    """Validation error whose lowest value chooses the epoch; ties go to the later one."""
    selection_clips: PositiveInt = 3
    """Clips per validation video whose mean prediction is scored for that choice."""
    precision: Literal["no", "bf16"] = "no"
    """Autocast precision; the loss stays in float32 either way."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training whose test predictions fill cells of the paper's tables."""

    dataset: Literal["echonet"] = "echonet"
    """Data set trained and tested on."""
    fold: int | None = None
    """Cross-validation fold, for data sets that are cut into folds."""
    method: Method = "coreecho"
    """What is optimised; see `coreecho.trainer.stages`."""
    init: Literal["k400", "scratch"] = "k400"
    """Initial encoder weights: what the profile uses as Kinetics-400 weights, or random."""
    recipe: Literal["shared", "own"] = "own"
    """The profile's shared recipe, or the method's own one (the same in the demo and gpu profiles)."""
    augment: bool = True
    """Pad and randomly crop the clips in training (A in Table 3)."""
    views: Literal["one", "same-clip", "two-clips"] = "two-clips"
    """Views of a video in a training batch: one clip, one clip cropped twice, two clips (2xC in Table 3)."""
    seed: int = 0
    """Seed of initial weights, batch order, clips and crops; trials 0, 1, 2 in the paper."""

    @property
    def slug(self) -> str:
        """A readable folder-name prefix, unique among the runs of this package together with the key."""
        fold = "" if self.fold is None else f"-fold{self.fold}"
        return f"{self.dataset}{fold}-{self.method}-seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The scale of all runs: data, network and recipes."""

    name: str
    """Name: demo, gpu or paper."""
    summary: str
    """One sentence on what it needs and what it yields."""
    phantom: PhantomSettings | None = None
    """The synthetic data set, or none for the real ones."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    """Network scale."""
    clip: ClipSettings = field(default_factory=ClipSettings)
    """Clip shape."""
    shared: Recipe = field(default_factory=Recipe)
    """Recipe used for every row unless a method has its own."""
    own: Mapping[str, Recipe] = field(default_factory=dict)
    """Methods' own recipes, by method name."""
    own_clips: Mapping[str, ClipSettings] = field(default_factory=dict)
    """Clip shapes of methods that do not use the shared one."""
    k400: Literal["file", "none"] = "none"
    """Where ``init="k400"`` takes its weights: the published file under the data root, or none (random)."""
    protocol: Protocol = "fixed3"
    """Test-time clips per video, whose mean prediction is scored."""

    def recipe(self, run: Run) -> Recipe:
        """The recipe that trains ``run`` in this profile."""
        return self.own.get(run.method, self.shared) if run.recipe == "own" else self.shared

    def clip_settings(self, run: Run) -> ClipSettings:
        """The clip shape that ``run`` uses in this profile."""
        return self.own_clips.get(run.method, self.clip) if run.recipe == "own" else self.clip


def to_dict(settings: Any) -> dict[str, Any]:
    """Plain JSON-ready data of a settings object (tuples become lists)."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def from_dict(kind: type[T], data: Any) -> T:
    """The settings object of class ``kind`` that `to_dict` made ``data`` from.

    Raises:
        SettingsError: a field is missing, unknown or of another type; the message names it.
    """
    try:
        text = json.dumps(data)
    except (ValueError, RecursionError):
        raise SettingsError(f"{kind.__name__} settings are nested too deeply") from None
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise SettingsError(f"{kind.__name__} settings do not fit this version: {where}: {first['msg']}") from None


def override(settings: T, assignments: list[str]) -> T:
    """A copy of a profile or run with ``field=value`` assignments applied; dots reach inner fields.

    Values are JSON, or plain text where that is not JSON: ``shared.epochs=3``, ``clip.frames=16``.

    Raises:
        SettingsError: an assignment without "=", an unknown field, or a value of another type.
    """
    data = to_dict(settings)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        *outer, last = name.split(".")
        inner: dict[str, Any] = data
        for part in outer:
            below = inner.get(part)
            inner = below if isinstance(below, dict) else {}
        if not equals or last not in inner:
            fields = ", ".join(inner or data)
            raise SettingsError(
                f"cannot set {assignment!r}: write FIELD=VALUE (or OUTER.FIELD=VALUE); fields: {fields}"
            )
        try:
            inner[last] = json.loads(text)
        except json.JSONDecodeError:
            inner[last] = text
    return from_dict(type(settings), data)
